# fish completion for corewalk. Verbs, options and formats come from the program itself.
function __corewalk_options
    set -l words (commandline -opc)
    corewalk --words options $words[2] | string replace -r '=$' ''
end
complete -c corewalk -n __fish_use_subcommand -a '(corewalk --words verbs)'
complete -c corewalk -n '__fish_seen_subcommand_from help' -f -a '(corewalk --words verbs)'
complete -c corewalk -n 'not __fish_use_subcommand' -a '(__corewalk_options)'
complete -c corewalk -l format -x -a '(corewalk --words formats)'
