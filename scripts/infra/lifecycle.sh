#!/usr/bin/env bash
# Takes one root through its life on a stand-in for AWS's provider: plan, apply, a second plan that is
# empty, a look at what was made, destroy. scripts/infra-test.sh prepares the copy that it works in.
#
#   scripts/infra/lifecycle.sh dev|staging|prod|bootstrap [s3]
#
# With "s3" the state is kept as it is in an account, in a bucket with a lock, by an S3 server of this
# machine; otherwise in a file.

# shellcheck source=scripts/infra/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

root=$1
backend=${2:-local}
[ -n "$STANDIN" ] || die "this needs a stand-in for the provider (SPEAKR_TERRAFORM_PROVIDER_MIRROR): the real one would ask AWS."
WORK=${WORK:-$INFRA_DIR/work}
use_provider
case $root in
bootstrap) folder=$WORK/terraform/bootstrap values=$WORK/terraform/testing/bootstrap.tfvars ;;
*) folder=$WORK/terraform/environments/$root values=$WORK/terraform/testing/environment.tfvars ;;
esac
out=$WORK/$root
mkdir -p "$out"
cd "$folder"

tf() { terraform "$@" -no-color; }

# Runs the rest under a name; what it said is shown when it failed.
phase() {
    local name=$1
    shift
    quietly "$out/$name.log" "$@" || die "$root: $name failed; all of it is in $out/$name.log."
}

begin() {
    if [ "$backend" = s3 ]; then
        # shellcheck source=scripts/infra/state-store.sh
        . "$ROOT/scripts/infra/state-store.sh"
        start_store "$out/store"
        trap stop_store EXIT
        phase init tf init -backend-config="$out/store/backend.hcl"
    else
        # In place of the bucket's: which backend it is is the only thing that differs.
        printf 'terraform {\n  backend "local" {}\n}\n' >backend_override.tf
        phase init tf init
    fi
}

look() {
    local bin
    bin=$("$ROOT/scripts/tools.sh" iam) || die "the checks of policies need parliament and botocore; pip's message is above."
    {
        "$bin/python" "$ROOT/scripts/infra/policies.py" "$out/state.json" "$WORK/terraform" &&
            "$bin/python" "$ROOT/scripts/infra/exposure.py" "$out/state.json" &&
            "$bin/python" "$ROOT/scripts/infra/enumerations.py" "$out/state.json"
    } >"$out/look.log" 2>&1 || {
        cat "$out/look.log" >&2
        return 1
    }
}

# As in "64 policies, 241 resources, 149 words".
looked_at() { sed -nE 's/^(policies|resources|words): ([0-9]+) looked at, 0 findings$/\2 \1/p' "$out/look.log" | paste -sd , - | sed 's/,/, /g'; }

# What has to be refused. $1: a name, $2: words that the refusal has.
refused() {
    local name=$1 words=$2
    shift 2
    if "$@" >"$out/$name.log" 2>&1; then die "$root: $name should have been refused, and wasn't."; fi
    grep -q "$words" "$out/$name.log" || {
        tail -n 40 "$out/$name.log" >&2
        die "$root: $name was refused for another reason than \"$words\"."
    }
}

# What a runbook names in a state has to be in one.
addresses_hold() {
    local address addresses
    addresses=$(sed -nE 's/^tf (state rm|import) ([^ ]+).*/\2/p' "$WORK/terraform/modules/backup/README.md" | sort -u)
    [ -n "$addresses" ] || die "terraform/modules/backup/README.md names nothing in a state any more: this check looks for nothing."
    for address in $addresses; do
        [ -n "$(tf state list "$address")" ] || die "$root: terraform/modules/backup/README.md names $address, which isn't in the state."
    done
}

begin
phase plan tf plan -var-file="$values" -out=plan
planned=$(sed -n 's/^Plan: \([0-9]*\) to add, 0 to change, 0 to destroy\.$/\1/p' "$out/plan.log")
[ "${planned:-0}" -gt 0 ] || die "$root: the plan doesn't only add; it is in $out/plan.log."
phase apply tf apply plan
terraform show -json >"$out/state.json"
phase second-plan tf plan -var-file="$values" -detailed-exitcode
look || die "$root: something in its state isn't as it should be."
# For planted mistakes, whose check this is.
[ -z "${ONLY_LOOK:-}" ] || exit 0
[ "$backend" != s3 ] || lock_holds
[ "$root" = bootstrap ] || addresses_hold

if [ "$root" = bootstrap ]; then
    # The bucket of states isn't taken down with the rest.
    refused destroy "prevent_destroy" tf destroy -var-file="$values" -auto-approve
    say "$root: $planned made, second plan empty, states protected from a destroy; looked at: $(looked_at)"
    exit 0
fi
if grep -q '^  deletion_protection *= true' numbers.tf; then
    # Once is enough to see that it protects.
    [ "$root" != prod ] || refused destroy-protected "deletion.protection" tf destroy -var-file="$values" -auto-approve
    sed -i.before 's/^  deletion_protection *= true/  deletion_protection = false/' numbers.tf
    phase unprotect tf apply -var-file="$values" -auto-approve
fi
phase destroy tf destroy -var-file="$values" -auto-approve
left=$(terraform state list | grep -vc '^data\.' || true)
[ "$left" = 0 ] || die "$root: $left resources are left after the destroy."
say "$root: $planned made, second plan empty, all destroyed; looked at: $(looked_at)"
