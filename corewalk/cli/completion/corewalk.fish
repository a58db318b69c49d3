# fish completion for corewalk. Verbs, options and their values come from the program itself.
function __corewalk_verb
    set -l words (commandline -opc)
    contains -- "$words[2]" (corewalk --words verbs); and echo $words[2]; or echo analyze
end
# __corewalk_value OPTION WORD PREFIX: what OPTION takes; the last of a list with commas.
function __corewalk_value
    set -l values (corewalk --words values (__corewalk_verb) $argv[1])
    if set -q values[1]
        set -l head (string match -r '.*,' -- $argv[2])
        printf '%s\n' "$argv[3]$head"$values
    else if contains -- $argv[1] --sysroot --debug-dir --scratch-dir
        printf '%s\n' $argv[3](__fish_complete_directories $argv[2] '')
    else if contains -- $argv[1] --exe --output -o
        printf '%s\n' $argv[3](__fish_complete_path $argv[2])
    end
end
function __corewalk
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l options (corewalk --words options (__corewalk_verb))
    if test "$words[2]" = help
        corewalk --words verbs
    else if string match -q -- '--*=*' $word
        set -l parts (string split -m 1 = -- $word)
        __corewalk_value $parts[1] "$parts[2]" $parts[1]=
    else if contains -- $words[-1]= $options -o=
        __corewalk_value $words[-1] "$word" ''
    else if string match -q -- '-*' $word
        if not set -q words[2]
            set options (corewalk --words options)
        end
        string replace -r '=$' '' -- $options
    else
        set -q words[2]; or corewalk --words verbs
        __fish_complete_path $word
    end
end
complete -c corewalk -f -a '(__corewalk)'
