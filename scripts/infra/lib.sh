# shellcheck shell=bash
# What the scripts around terraform/ share: a copy to work in, and which provider is used.

# shellcheck source=scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

export TF_IN_AUTOMATION=1 TF_INPUT=0 CHECKPOINT_DISABLE=1
# Whoever runs this may have an account at hand: nothing here may get at it.
export AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
unset AWS_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN

INFRA_DIR=$TARGET_DIR/infra
STANDIN=${SPEAKR_TERRAFORM_PROVIDER_MIRROR:-}

# A copy without what Terraform leaves behind; sets WORK. A caller may name another place to copy to.
prepare_work() {
    WORK=${1:-$INFRA_DIR/work}
    rm -rf "$WORK"
    mkdir -p "$WORK" "$INFRA_DIR/plugins"
    tar -C "$ROOT" --exclude .terraform --exclude '*.tfstate*' --exclude .terraform.lock.hcl \
        -cf - terraform k8s crates/adapters/s3/src nix .github/workflows | tar -C "$WORK" -xf -
    use_provider
}

# Terraform's own settings: where the provider comes from. With a stand-in nothing else is asked.
use_provider() {
    local settings='disable_checkpoint = true'
    export TF_CLI_CONFIG_FILE=$INFRA_DIR/terraformrc TF_PLUGIN_CACHE_DIR=$INFRA_DIR/plugins
    if [ -n "$STANDIN" ]; then
        [ -d "$STANDIN/registry.terraform.io/hashicorp/aws" ] ||
            die "SPEAKR_TERRAFORM_PROVIDER_MIRROR=$STANDIN has no registry.terraform.io/hashicorp/aws in it."
        unset TF_PLUGIN_CACHE_DIR
        settings="$settings
provider_installation {
  filesystem_mirror {
    path    = \"$STANDIN\"
    include = [\"registry.terraform.io/*/*\"]
  }
}"
    fi
    # At once: another script may be reading it.
    printf '%s\n' "$settings" >"$TF_CLI_CONFIG_FILE.$$"
    mv "$TF_CLI_CONFIG_FILE.$$" "$TF_CLI_CONFIG_FILE"
}

# Whether `terraform init` finds the provider; with the real one this downloads it once.
provider_is_here() {
    terraform -chdir="$WORK/terraform/modules/key" init -backend=false -no-color >"$WORK/init.log" 2>&1
}

# Runs a command and shows what it said only when it failed.
quietly() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 || {
        tail -n 60 "$log" >&2
        return 1
    }
}

# Environments differ in numbers.tf, backend.tf and their tests, and in nothing else. $1: their folder.
same_roots() {
    local file environment result=0
    for file in main.tf outputs.tf variables.tf versions.tf; do
        for environment in staging prod; do
            cmp "$1/dev/$file" "$1/$environment/$file" >&2 || result=1
        done
    done
    return "$result"
}

# checkov over the copy $1; prints how much it passed.
run_checkov() {
    local bin
    bin=$("$ROOT/scripts/tools.sh" checkov) || return 1
    "$bin/checkov" --directory "$1/terraform" --framework terraform --skip-download --quiet --compact \
        >"$1/checkov.out" 2>"$1/checkov.err" || {
        cat "$1/checkov.out" >&2
        return 1
    }
    # "Passed checks: 450, Failed checks: 0, Skipped checks: 45": one that looked at nothing says 0.
    grep -E '^Passed checks: [1-9]' "$1/checkov.out" || {
        say "checkov looked at nothing: $1/checkov.err"
        return 1
    }
}
