# bash completion for corewalk. Verbs, options and their values come from the program itself.
_corewalk() {
    local cur prev words cword verb option=
    if declare -F _init_completion >/dev/null; then
        _init_completion -n = || return
    else
        # Without the bash-completion package: readline's own words, in which = stands alone.
        words=("${COMP_WORDS[@]}")
        cword=$COMP_CWORD
        cur=${words[cword]}
        prev=${words[cword - 1]}
    fi
    COMPREPLY=()
    compopt -o filenames 2>/dev/null
    verb=${words[1]}
    if [[ $verb == help || ($cword -eq 1 && $cur != -*) ]]; then
        compopt +o filenames 2>/dev/null
        _corewalk_offer "$cur" "$(corewalk --words verbs)"
        [[ $verb == help ]] || _corewalk_files "$cur" -f
        return
    fi
    corewalk --words verbs | grep -qxe "$verb" || verb=analyze
    if [[ $cur == --*=* ]]; then
        option=${cur%%=*}
        cur=${cur#*=}
        _corewalk_value "$verb" "$option" "$cur" "$option="
        return
    elif [[ $cur == = ]]; then
        option=$prev
        cur=
    elif [[ $prev == = ]]; then
        option=${words[cword - 2]}
    elif [[ $prev == -o ]] || corewalk --words options "$verb" | grep -qxe "$prev="; then
        option=$prev
    fi
    if [[ -n $option ]]; then
        _corewalk_value "$verb" "$option" "$cur" ""
    elif [[ $cur == -* ]]; then
        [[ $cword -eq 1 ]] && verb=
        compopt +o filenames 2>/dev/null
        _corewalk_offer "$cur" "$(corewalk --words options $verb)"
        [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    else
        _corewalk_files "$cur" -f
    fi
}
# _corewalk_value VERB OPTION WORD PREFIX: what OPTION takes; the last of a list with commas.
_corewalk_value() {
    local values head=
    values=$(corewalk --words values "$1" "$2")
    if [[ -n $values ]]; then
        compopt +o filenames 2>/dev/null
        [[ $3 == *,* ]] && head=${3%,*},
        mapfile -t COMPREPLY < <(compgen -P "$4$head" -W "$values" -- "${3##*,}")
        return
    fi
    case $2 in
        --sysroot | --debug-dir | --scratch-dir) _corewalk_files "$3" -d ;;
        --exe | --output | -o) _corewalk_files "$3" -f ;;
    esac
    [[ -z $4 ]] || COMPREPLY=("${COMPREPLY[@]/#/$4}")
}
_corewalk_offer() {
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$2" -- "$1")
}
_corewalk_files() {
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen "$2" -- "$1")
}
complete -F _corewalk corewalk
