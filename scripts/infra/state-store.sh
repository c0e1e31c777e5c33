# shellcheck shell=bash
# An S3 server for Terraform's state, and what its lock has to do. Read by scripts/infra/lifecycle.sh.

# Starts versitygw (or moto, where that couldn't be built) over folder $1, with a bucket, and writes
# backend.hcl into it.
start_store() {
    local folder=$1 bin port
    bin=$("$ROOT/scripts/tools.sh" s3) || die "there is no S3 server for the state."
    # No versions here: in a bucket that keeps them versitygw takes a lock that was deleted for one that is
    # there, and S3 doesn't. That the real bucket keeps them is tested in bootstrap.
    mkdir -p "$folder/data/speakr-state" "$folder/metadata" "$folder/users"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    AWS_ACCESS_KEY_ID=state-$RANDOM
    AWS_SECRET_ACCESS_KEY=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    if [ -x "$bin/versitygw" ]; then
        STORE_KIND=versitygw
        ROOT_ACCESS_KEY=$AWS_ACCESS_KEY_ID ROOT_SECRET_KEY=$AWS_SECRET_ACCESS_KEY "$bin/versitygw" \
            --port "127.0.0.1:$port" --region us-east-1 --quiet --iam-dir "$folder/users" \
            posix --sidecar "$folder/metadata" "$folder/data" >"$folder/log" 2>&1 &
    else
        STORE_KIND=moto
        "$bin/moto_server" --host 127.0.0.1 --port "$port" >"$folder/log" 2>&1 &
    fi
    STORE_PID=$!
    for _ in $(seq 100); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
        kill -0 "$STORE_PID" 2>/dev/null || die "the S3 server for the state ended: $(tail -n 5 "$folder/log")"
        sleep 0.1
    done
    [ "$STORE_KIND" = versitygw ] || curl --silent --fail --request PUT "http://127.0.0.1:$port/speakr-state" >/dev/null
    STORE_DATA=$folder/data/speakr-state
    cat >"$folder/backend.hcl" <<HCL
bucket                      = "speakr-state"
region                      = "us-east-1"
endpoints                   = { s3 = "http://127.0.0.1:$port" }
use_path_style              = true
skip_credentials_validation = true
skip_metadata_api_check     = true
skip_region_validation      = true
skip_requesting_account_id  = true
HCL
}

stop_store() {
    if [ -n "${HOLDER:-}" ]; then kill -9 "$HOLDER" 2>/dev/null || true; fi
    kill "$STORE_PID" 2>/dev/null || true
    wait "$STORE_PID" 2>/dev/null || true
}

# While one apply waits for a yes, no other may begin; one that dies leaves its lock, which names it, and
# only who says so takes the lock away.
# shellcheck disable=SC2154  # root, out and values are those of lifecycle.sh
lock_holds() {
    local pipe=$out/pipe id
    rm -f "$pipe"
    mkfifo "$pipe"
    # Reading and writing, so that opening it waits for nobody.
    exec 9<>"$pipe"
    TF_INPUT=1 terraform apply -var-file="$values" -var 'alarm_emails=["other@example.org"]' -no-color <&9 >"$out/holder.log" 2>&1 &
    HOLDER=$!
    for _ in $(seq 600); do
        if grep -q "Do you want to perform" "$out/holder.log"; then break; fi
        kill -0 "$HOLDER" 2>/dev/null || {
            tail -n 20 "$out/holder.log" >&2
            die "$root: the apply that was to hold the lock ended."
        }
        sleep 0.1
    done
    refused locked "Error acquiring the state lock" tf plan -var-file="$values"
    kill -9 "$HOLDER"
    wait "$HOLDER" 2>/dev/null || true
    HOLDER=""
    exec 9>&-
    refused locked-by-the-dead "Error acquiring the state lock" tf plan -var-file="$values"
    id=$(sed -nE 's/^.*ID: +([0-9a-f-]{36}).*$/\1/p' "$out/locked-by-the-dead.log" | sed -n 1p)
    refused unlock-another "LocalID\|lock ID\|does not match\|failed to retrieve lock info\|Failed to unlock" tf force-unlock -force 00000000-0000-0000-0000-000000000000
    phase unlock tf force-unlock -force "$id"
    phase plan-after-unlock tf plan -var-file="$values" -detailed-exitcode
    if [ "$STORE_KIND" = versitygw ]; then
        [ -s "$STORE_DATA/speakr/$root/terraform.tfstate" ] || die "$root: there is no state in the bucket."
        [ ! -e "$STORE_DATA/speakr/$root/terraform.tfstate.tflock" ] || die "$root: the lock is left in the bucket."
    fi
    say "$root: the lock in the bucket ($STORE_KIND) kept a second apply out, outlived its owner, and went by its id alone"
}
