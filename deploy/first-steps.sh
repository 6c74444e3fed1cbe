# shellcheck shell=bash
# A location, a person who may enroll now, and what to type next; for every stack that deploy/ brings up.
#
# Needs the array `core`, the command that reaches Core's command line, and $public_url, without a slash at its end.

# The objects of a JSON list, one on each line: all lists of the command line are flat but for arrays.
objects() {
    tr -d '\n' | tr '{' '\n'
}

# field NAME: the text or number under this name in the object on standard input.
field() {
    sed -nE -e "s/.*\"$1\" *: *\"(([^\"\\\\]|\\\\.)*)\".*/\1/p; t" -e "s/.*\"$1\" *: *([^\",}]*).*/\1/p" |
        sed 's/\\\(["\\]\)/\1/g; q'
}

# The first location, whatever it is called by now; a new installation gets one that asks for the second factor.
make_location() {
    local first
    : "${core:?}"
    first=$("${core[@]}" location list --json | objects | grep -m 1 '"name"' || true)
    if [[ -z $first ]]; then
        first=$("${core[@]}" location add Demo --endpoint 127.0.0.1:51820 --address 10.99.0.1/16,fd00:99::1/64 \
            --public-key "$(head -c 32 /dev/urandom | base64)" --allowed-ips 10.99.0.0/16,fd00:99::/64 --mfa internal --json |
            objects)
    fi
    location=$(field name <<<"$first") location_id=$(field id <<<"$first")
}

# The last demo person who has not enrolled yet, else a new one; and a token that works now.
invite() {
    local people last number
    people=$("${core[@]}" user list --json | objects | grep '"login" *: *"demo-' || true)
    last=$(tail -n 1 <<<"$people")
    person=$(field login <<<"$last")
    if [[ -z $person || $(field enrolled <<<"$last") == true || $(field disabled <<<"$last") == true ]]; then
        number=$(sed -n 's/.*"login" *: *"demo-\([0-9]\{1,9\}\)".*/\1/p' <<<"$people" | sort -n | tail -n 1)
        person=demo-$((10#${number:-0} + 1))
        "${core[@]}" user add "$person" --email "$person@example.org" --first-name Demo --last-name Person --json >/dev/null
    fi
    token=$("${core[@]}" user enroll "$person" --json | field token)
    [[ -n $token ]] || fail "Core gave no enrollment token"
}

# What a person types to enroll and to log in.
announce_first_steps() {
    : "${public_url:?}"
    cat <<END
public $public_url
token $token

Enroll the person $person with a device and an authenticator app:

  json='Content-Type: application/json' key=\$(head -c 32 /dev/urandom | base64)
  curl -c cookies -H "\$json" -d '{"token":"$token"}' $public_url/api/v1/enrollment/start
  curl -b cookies -H "\$json" -d '{"name":"laptop","pubkey":"'\$key'"}' $public_url/api/v1/enrollment/create_device
  curl -b cookies -H "\$json" -d '{"method":"Totp"}' $public_url/api/v1/enrollment/register-mfa/code/start
  curl -b cookies -H "\$json" -d '{"method":"Totp","code":"<what the app shows for totp_secret>"}' $public_url/api/v1/enrollment/register-mfa/code/finish
  curl -b cookies -H "\$json" -d '{"password":"Choose-a-long-0ne"}' $public_url/api/v1/enrollment/activate_user
  curl -H "\$json" -d '{"token":"<token of create_device>"}' $public_url/api/v1/poll

Log in to the location $location; each code works once, so wait for the app to show the next one:

  curl -H "\$json" -d '{"location_id":$location_id,"pubkey":"'\$key'","method":0}' $public_url/api/v1/client-mfa/start
  curl -H "\$json" -d '{"token":"<token of client-mfa/start>","code":"<what the app shows now>"}' $public_url/api/v1/client-mfa/finish

END
}
