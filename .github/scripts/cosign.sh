# shellcheck shell=bash
# shellcheck disable=SC2034  # for who reads this file
# How cosign is asked to sign and to verify. Read after lib.sh.

# SIGN and VERIFY are the options of both.
prepare_cosign() {
    if [ -n "${SPEAKR_COSIGN_KEY:-}" ]; then
        # With a key of one's own nothing is written to a public log, and there is no time stamp.
        cosign signing-config create --out "$DIST/signing-config.json" >/dev/null || die "cosign can't write $DIST/signing-config.json."
        if [ -z "${SPEAKR_COSIGN_PUBLIC_KEY:-}" ]; then
            SPEAKR_COSIGN_PUBLIC_KEY=$DIST/cosign.pub
            cosign public-key --key "$SPEAKR_COSIGN_KEY" >"$SPEAKR_COSIGN_PUBLIC_KEY" || die "the public half of SPEAKR_COSIGN_KEY can't be had; is COSIGN_PASSWORD right?"
        fi
        SIGN=(--key "$SPEAKR_COSIGN_KEY" --signing-config "$DIST/signing-config.json")
        VERIFY=(--key "$SPEAKR_COSIGN_PUBLIC_KEY" --insecure-ignore-tlog)
        return
    fi
    [ -n "${ACTIONS_ID_TOKEN_REQUEST_URL:-}" ] ||
        die "there is nothing to sign with: neither a workflow's identity (permission id-token: write) nor a key (SPEAKR_COSIGN_KEY)."
    SIGN=()
    VERIFY=(--certificate-oidc-issuer https://token.actions.githubusercontent.com
        --certificate-identity-regexp "^${GITHUB_SERVER_URL:-https://github.com}/${GITHUB_REPOSITORY:?}/\\.github/workflows/(release|ci)\\.yml@refs/")
}
