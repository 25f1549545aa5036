# Makes of list's lines the arrays that look-up.c reads.
BEGIN { count = kinds = calls = 0 }
/^#/ { next }
{
    split("", places)
    architectures = NF - 1
    shape = ""
    first = count
    for (field = 2; field <= NF; field++) {
        if (!($field in places)) {
            places[$field] = count++ - first
            # Those of ARM alone do not fit into 16 bits.
            numbers = numbers ($field >= 983040 ? $field - 983040 + 28672 : $field) ","
        }
        shape = shape places[$field] ","
    }
    if (!(shape in shapes)) {
        shapes[shape] = kinds++
        list = list "{" shape "},\n"
    }
    entries = entries "{" length(names) - calls ", " first ", " shapes[shape] "},\n"
    names = names $1 "\\0"
    calls++
}
END {
    print "enum { ARM_PRIVATE = 983040 };"
    print "static const char names[] = \"" names "\";"
    print "static const short numbers[] = {" numbers "};"
    print "static const unsigned char shapes[][" architectures "] = {\n" list "};"
    print "static const struct entry { unsigned short name, numbers; unsigned char shape; }"
    print "entries[] = {\n" entries "};"
}
