#!/bin/bash
# curl -N, sed and jq: a stream read in the shell, as people do, with `set -o pipefail` as careful people do.
#
# sed takes what follows "data: " at the start of a line and jq gathers the payloads, in gather.jq. Speaks the line
# protocol of python/_driver.py; curl's or jq's exit status is the error's type, and what they print its message.
set -o pipefail

if [ "$1" = --version ]; then
  curl_version=$(curl --version | head -n 1 | cut -d ' ' -f 2)
  echo "$curl_version ($(jq --version))"
  exit
fi

here=$(cd "$(dirname "$0")" && pwd)
complaints=$(mktemp)
trap 'rm -f "$complaints"' EXIT

stream() { # URL BODY
  curl --silent --show-error --fail -N --max-time 20 --noproxy '*' \
    -H 'Content-Type: application/json' -H 'Authorization: Bearer no-key' -d "$2" "$1" |
    sed -n 's/^data: //p' | sed '/^\[DONE\]/d' | jq --slurp --compact-output --from-file "$here/gather.jq"
}

while IFS= read -r line; do
  [ -n "$line" ] || continue
  url=$(jq -r '.url' <<<"$line")
  body=$(jq -c '.request // {} | {
    model: (.model // "replayed"),
    messages: (.messages // [{role: "user", content: "What is the weather like in Boston?"}]),
    stream: true
  } + if .tools then {tools} else {} end' <<<"$line")
  if result=$(stream "$url" "$body" 2>"$complaints"); then
    jq -c --slurpfile result <(printf '%s' "$result") '{id, result: $result[0]}' <<<"$line"
  else
    status=$?
    jq -c --arg type "exit status $status" --rawfile message "$complaints" '{id, error: {$type, $message}}' <<<"$line"
  fi
done
