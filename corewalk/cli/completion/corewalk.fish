# fish completion for corewalk. Verbs, options and their values come from the program itself.
function __corewalk_verb
    set -l words (commandline -opc)
    contains -- "$words[2]" (corewalk --words verbs); and echo $words[2]; or echo analyze
end
function __corewalk_options
    corewalk --words options (__corewalk_verb) | string replace -r '=$' ''
end
function __corewalk_values
    corewalk --words values (__corewalk_verb) $argv[1]
end
complete -c corewalk -n __fish_use_subcommand -a '(corewalk --words verbs)'
complete -c corewalk -n '__fish_seen_subcommand_from help' -f -a '(corewalk --words verbs)'
complete -c corewalk -n 'string match -q -- "-*" (commandline -ct)' -a '(__corewalk_options)'
complete -c corewalk -l format -x -a '(corewalk --words formats)'
complete -c corewalk -l by -x -a '(__corewalk_values by)'
complete -c corewalk -l state -x -a '(__fish_append , (__corewalk_values state))'
