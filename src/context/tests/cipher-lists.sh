#!/bin/sh
# Prints the lists of its standard input, one a line, with what the installed OpenSSL selects by each, as in cipher-lists.txt:
#   grep -v '^#' cipher-lists.txt | sed 's/ => .*//' | ./cipher-lists.sh
# Only the six suites of TLS 1.2 that we have are named, in short: E or R for ECDSA or RSA, then the cipher.
while IFS= read -r list; do
    if names=$(openssl ciphers -s -tls1_2 "$list" 2>&1); then
        short=$(printf '%s\n' "$names" | tr ':' '\n' | sed -nE \
            -e 's/^ECDHE-(E|R)(CD)?SA-CHACHA20-POLY1305$/\1-CHACHA/p' \
            -e 's/^ECDHE-(E|R)(CD)?SA-AES(128|256)-GCM-SHA(256|384)$/\1-\3/p' | paste -sd' ')
        printf '%s => %s\n' "$list" "${short:-nothing}"
    elif printf '%s' "$names" | grep -q 'invalid command'; then
        printf '%s => invalid command\n' "$list"
    else
        printf '%s => nothing\n' "$list"
    fi
done
