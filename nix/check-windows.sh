# shellcheck shell=sh
# Does the program $1 need only what Windows itself has?
set -eu
# The names that are part of Windows 10 and of its "universal" run-time library.
own='^(advapi32|api-ms-win-.*|bcrypt|bcryptprimitives|comctl32|comdlg32|crypt32|dbghelp|gdi32|iphlpapi|kernel32|ktmw32|msvcrt|ncrypt|netapi32|ntdll|ole32|oleaut32|pdh|powrprof|propsys|psapi|rpcrt4|secur32|setupapi|shell32|shlwapi|ucrtbase|user32|userenv|version|winmm|winspool\.drv|ws2_32)(\.dll)?$'
wanted=$(${OBJDUMP:-objdump} --private-headers "$1" | sed -n 's/^[[:space:]]*DLL Name: //p' | tr '[:upper:]' '[:lower:]' | sort -u)
if [ -z "$wanted" ]; then
    echo "error: $1 names no library at all: is it a program for Windows?" >&2
    exit 1
fi
if printf '%s\n' "$wanted" | grep -vE "$own" >&2; then
    echo "error: $1 wants the libraries above, which Windows doesn't have." >&2
    exit 1
fi
echo "$1 wants only what Windows has: $(printf "%s" "$wanted" | tr "\n" " ")"
