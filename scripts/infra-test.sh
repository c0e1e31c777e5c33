#!/usr/bin/env bash
# Checks the infrastructure in terraform/ without a cloud account: form, every root and module validated
# and tested, checkov, and, where a stand-in for AWS's provider is there, each environment planned,
# applied, planned again and destroyed, and what was made looked at; the vault is filled on an emulator. The
# last lines say what could not be run. Arguments: names of checks (form, roots, modules, lifecycles, checkov,
# secrets), in place of all.
#
#   SPEAKR_MAY_LEAVE_OUT               the checks that may be left out where something isn't here, or "none";
#                                      any may where it isn't set.
#   SPEAKR_TERRAFORM_PROVIDER_MIRROR   a folder (filesystem_mirror) with a stand-in for hashicorp/aws that
#                                      needs no account. Without, the real one comes from Terraform's
#                                      registry, and nothing is applied.

# shellcheck source=scripts/infra/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/infra/lib.sh"

failed=""
not_run=""
took=""

wanted() { [ -z "$only" ] || case " $only " in *" $1 "*) ;; *) return 1 ;; esac }

# $1 is the name of a check; the rest is run. Two lines of output say how it went.
check() {
    local name=$1 start=$SECONDS
    shift
    wanted "$name" || return 0
    step "$name"
    "$@" || failed="$failed $name"
    took="$took$(printf '  %-14s %4d s' "$name" "$((SECONDS - start))")"$'\n'
}

# skip WHY CHECK…: what isn't run, of what was asked for.
skip() {
    local why=$1 name names=""
    shift
    for name in "$@"; do
        wanted "$name" || continue
        names="$names $name"
        may_leave_out "$name" || failed="$failed $name"
    done
    [ -n "$names" ] || return 0
    say "  NOT RUN:$names: $why"
    not_run="$not_run$(printf ' %s: %s' "$names" "$why")"$'\n'
}

# Says what was run, how long it took, and what could not be; ends.
finish() {
    printf '\n%s' "$took" >&2
    if [ -n "$not_run" ]; then printf 'Not run:\n%s' "$not_run" >&2; fi
    [ -z "$failed" ] || die "failed:$failed."
    say "Of what was run nothing failed. What only an account can show is in docs/operations.md."
    exit 0
}

# shellcheck disable=SC2329  # the checks are called by their names
form() { terraform -chdir="$ROOT/terraform" fmt -check -diff -recursive; }

# Environments are alike, and each module has its parts.
# shellcheck disable=SC2329
roots() {
    local folder wanted result=0
    same_roots "$ROOT/terraform/environments" || result=1
    for folder in "$ROOT"/terraform/modules/* "$ROOT/terraform/bootstrap"; do
        for wanted in README.md main.tf variables.tf outputs.tf versions.tf tests; do
            [ -e "$folder/$wanted" ] || {
                say "${folder#"$ROOT"/} has no $wanted"
                result=1
            }
        done
    done
    return "$result"
}

# shellcheck disable=SC2329
modules() {
    # Two at a time: each loads the provider's whole schema.
    printf '%s\n' bootstrap modules/* environments/* | (cd "$WORK/terraform" && while read -r pattern; do
        for found in $pattern; do printf '%s\n' "$found"; done
    done) | WORK=$WORK xargs -P "${SPEAKR_INFRA_JOBS:-2}" -n 1 "$ROOT/scripts/infra/module.sh"
}

# dev keeps its state as the real ones do: in S3, with a lock.
# shellcheck disable=SC2329
lifecycles() {
    printf '%s\n' "dev s3" staging prod bootstrap |
        WORK=$WORK xargs -P "${SPEAKR_INFRA_JOBS:-2}" -L 1 "$ROOT/scripts/infra/lifecycle.sh" && costs
}

# What is written of costs is what the states of this run come to.
# shellcheck disable=SC2329
costs() {
    local table
    table=$(python3 "$ROOT/scripts/infra/cost.py" "$WORK"/{dev,staging,prod}/state.json | grep '^|') || return 1
    case $(cat "$ROOT/docs/operations.md") in
    *"$table"*) ;;
    *)
        say "docs/operations.md, \"What it costs\", has another table than scripts/infra/cost.py makes of the states:"
        say "$table"
        return 1
        ;;
    esac
}

# ---- what is here

only="$*"
for name in "$@"; do
    case $name in form | roots | modules | lifecycles | checkov | secrets) ;; *) die "infra-test.sh has no check \"$name\"." ;; esac
done
prepare_work
if ! has terraform; then
    skip "there is no terraform here (https://developer.hashicorp.com/terraform/install)" form roots modules lifecycles
    check checkov run_checkov "$WORK"
    check secrets "$ROOT/scripts/infra/secrets-test.sh"
    finish
fi
version=$(terraform version | sed -n '1s/^Terraform v//p')
at_least "$version" 1.11.0 || die "terraform/ needs Terraform 1.11 or newer (write-only arguments), and this is $version."

check form form
check roots roots
if provider_is_here; then
    check modules modules
    if [ -n "$STANDIN" ]; then
        check lifecycles lifecycles
    else
        skip "plan, apply, empty plan and destroy of each environment, and what is looked at in their states (policies, exposure, words), take a stand-in for the provider, or an account (docs/operations.md)" lifecycles
    fi
else
    skip "the provider hashicorp/aws could not be fetched ($WORK/init.log)" modules lifecycles
fi
check checkov run_checkov "$WORK"
check secrets "$ROOT/scripts/infra/secrets-test.sh"

finish
