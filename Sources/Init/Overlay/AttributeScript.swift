import Bytes

/// What gives files the owners and permissions that the files of /etc/fix-attrs.d ask for: a script, as process 1 may not
/// spend its time on a great tree.
///
/// A line there is `path recurse account fmode dmode`. The path may be a pattern, the account is a user, with a group
/// after a colon perhaps, and perhaps with ids after a comma for where there is no such user. What a tree has a link
/// to is left alone.
enum AttributeScript {
    static let text: ByteString = """
        status=0
        apply() {
            chown "$3" "$1" || status=1
            if [ -d "$1" ]; then
                chmod "$5" "$1" || status=1
                [ "$2" = true ] || return 0
                for one in "$1"/*; do
                    if [ -e "$one" ] && [ ! -L "$one" ]; then apply "$one" "$2" "$3" "$4" "$5"; fi
                done
            else
                chmod "$4" "$1" || status=1
            fi
        }
        for list in "$1"/*; do
            [ -f "$list" ] || continue
            echo "fix-attrs: info: applying $list" >&2
            while read -r path recurse entry file directory; do
                case $path in ''|'#'*) continue ;; esac
                owner=${entry%%,*}
                case $entry in
                *,*) id "${owner%%:*}" > /dev/null 2>&1 || owner=${entry#*,} ;;
                esac
                case $owner in
                *:*) ;;
                *) owner=$owner: ;;
                esac
                for found in $path; do apply "$found" "$recurse" "$owner" "$file" "$directory"; done
            done < "$list"
        done
        exit $status

        """
}
