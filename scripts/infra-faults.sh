#!/usr/bin/env bash
# Plants mistakes in terraform/, each in a copy of its own, and shows that the checks catch every one:
# scripts/infra/faults.txt has them. Needs Terraform and a provider, as scripts/infra-test.sh does; what
# looks at states is left out without a stand-in.
#
#   scripts/infra-faults.sh            all of them
#   scripts/infra-faults.sh 3 17       some, by their number
#   scripts/infra-faults.sh --table    writes docs/infrastructure-faults.md

# shellcheck source=scripts/infra/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/infra/lib.sh"

FAULTS=$ROOT/scripts/infra/faults.txt
TABLE=$ROOT/docs/infrastructure-faults.md

# Field $2 of fault $1.
field() { grep -v '^#' "$FAULTS" | sed -n "${1}p" | awk -F ' [|] ' -v field="$2" '{ print $field }'; }

table() {
    echo "# Mistakes that are caught"
    echo
    echo "\`make infra-faults\` plants each of these in a copy of \`terraform/\` and fails when its check lets it"
    echo "pass. \`test\` is \`terraform test\` of that folder; \`look\` applies an environment on a stand-in for the"
    echo "provider and looks at its state (\`scripts/infra/*.py\`); the list is \`scripts/infra/faults.txt\`."
    echo
    echo "| | planted | caught by | which says |"
    echo "|---|---|---|---|"
    grep -v '^#' "$FAULTS" | awk -F ' [|] ' '{ words = $5; sub(/\\\|.*/, "", words); printf "| %d | %s | `%s` | %s |\n", NR, $1, $4, words }'
}

# Plants fault $1 and runs its check, which has to fail and say so.
plant() {
    local number=$1 name file change check words work log result=0
    name=$(field "$number" 1) file=$(field "$number" 2) change=$(field "$number" 3)
    check=$(field "$number" 4) words=$(field "$number" 5)
    work=$INFRA_DIR/faults/$number
    log=$work/check.log
    if [ -z "$STANDIN" ]; then
        case $check in look*)
            printf 'not run   %2d %s (%s needs a stand-in for the provider)\n' "$number" "$name" "$check"
            return
            ;;
        esac
    fi
    prepare_work "$work"
    cp "$work/$file" "$work/before"
    perl -0pi -e "$change" "$work/$file"
    if cmp -s "$work/before" "$work/$file"; then die "fault $number ($name) changes nothing in $file: it has to be planted otherwise."; fi
    case $check in
    "test "*) WORK=$work "$ROOT/scripts/infra/module.sh" "${check#test }" >"$log" 2>&1 || result=$? ;;
    "look "*) WORK=$work ONLY_LOOK=1 "$ROOT/scripts/infra/lifecycle.sh" "${check#look }" >"$log" 2>&1 || result=$? ;;
    roots) same_roots "$work/terraform/environments" >"$log" 2>&1 || result=$? ;;
    checkov) run_checkov "$work" >"$log" 2>&1 || result=$? ;;
    *) die "fault $number names a check that there isn't: $check" ;;
    esac
    if [ "$result" = 0 ]; then
        printf 'NOT FOUND %2d %s (%s)\n' "$number" "$name" "$check"
        return 1
    fi
    # In one line: Terraform breaks its messages into several.
    tr '\n│' '  ' <"$log" | tr -s ' ' | grep -c -- "$words" >/dev/null || {
        tail -n 30 "$log" >&2
        printf 'WRONG     %2d %s: %s failed, and not for "%s"\n' "$number" "$name" "$check" "$words"
        return 1
    }
    rm -rf "$work"
    printf 'caught    %2d %s (%s)\n' "$number" "$name" "$check"
}

case ${1:-} in
--table)
    table >"$TABLE"
    exit
    ;;
--plant)
    plant "$2"
    exit
    ;;
esac

if ! has terraform; then
    say "Not run: planting mistakes needs Terraform (https://developer.hashicorp.com/terraform/install)."
    exit 0
fi
has perl || die "planting mistakes needs perl."
table | cmp -s - "$TABLE" || die "docs/infrastructure-faults.md isn't what scripts/infra/faults.txt says; scripts/infra-faults.sh --table writes it."
rm -rf "$INFRA_DIR/faults"
mkdir -p "$INFRA_DIR/faults"
prepare_work "$INFRA_DIR/faults/0"
provider_is_here || {
    say "Not run: the provider hashicorp/aws could not be fetched ($WORK/init.log)."
    exit 0
}
for tool in iam checkov; do "$ROOT/scripts/tools.sh" "$tool" >/dev/null; done
count=$(grep -vc '^#' "$FAULTS")
[ $# -gt 0 ] || set -- $(seq "$count")
printf '%s\n' "$@" | xargs -P "${SPEAKR_INFRA_JOBS:-2}" -n 1 "$ROOT/scripts/infra-faults.sh" --plant | tee "$INFRA_DIR/faults/result" || true
caught=$(grep -c '^caught' "$INFRA_DIR/faults/result" || true)
left=$(grep -c '^not run' "$INFRA_DIR/faults/result" || true)
[ "$((caught + left))" = $# ] || die "$(($# - caught - left)) of $# planted mistakes weren't caught."
say "$caught planted mistakes, each caught; $left could not be planted here."
