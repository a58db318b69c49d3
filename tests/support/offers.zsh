# What zsh's completion offers for the last word: one a line, in the file $1; the completion lies in
# the folder $2. To be read by an interactive zsh, which then gets the words and a tab.
offers=$1
fpath=($2 $fpath)
autoload -Uz compinit
compinit -u -D
compadd() {
    local -a hits
    if [[ " ${@[1,(i)(-|--)]} " == *" -"[OAD]" "* ]]; then
        builtin compadd "$@"
        return
    fi
    builtin compadd -O hits "$@"
    (( $#hits )) && print -rl -- $IPREFIX$^hits >>$offers
    builtin compadd "$@"
}
finish() {
    exit
}
comppostfuncs=(finish)
bindkey '^I' complete-word
print ready
