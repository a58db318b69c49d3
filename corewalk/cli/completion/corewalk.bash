# bash completion for corewalk. Verbs, options and formats come from the program itself.
_corewalk() {
    local cur prev words cword
    _init_completion -n = || return
    local verb=${words[1]}
    COMPREPLY=()
    if [[ $cword -eq 1 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(corewalk --words verbs)" -- "$cur")
        _filedir
        return
    fi
    case $verb in
        help)
            mapfile -t COMPREPLY < <(compgen -W "$(corewalk --words verbs)" -- "$cur")
            return
            ;;
    esac
    case $prev in
        --format)
            mapfile -t COMPREPLY < <(compgen -W "$(corewalk --words formats)" -- "$cur")
            return
            ;;
        --sysroot | --debug-dir)
            _filedir -d
            return
            ;;
    esac
    case $cur in
        --format=*)
            mapfile -t COMPREPLY < <(compgen -P --format= -W "$(corewalk --words formats)" -- "${cur#*=}")
            ;;
        -*)
            mapfile -t COMPREPLY < <(compgen -W "$(corewalk --words options "$verb")" -- "$cur")
            [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
            ;;
        *)
            _filedir
            ;;
    esac
}
complete -F _corewalk corewalk
