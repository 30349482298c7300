#!/bin/sh
# An agent in shell: it reads the bus, answers what it is asked, and publishes with link(2). docs/handbook/bus.md is all it knows.
# Put `runs: elsewhere` into agents/rustic.yaml, then, before or after make debate: shell.sh rustic. It leaves at the goal.
set -eu
me=${1:?usage: shell.sh NAME}
cd "$(git rev-parse --show-toplevel)/bus"
mkdir -p agents chat .tmp
start=$(sed 's/.*) //' /proc/$$/stat | cut -d' ' -f20)

exec 9>>"agents/$me.lock"           # our life: the kernel frees it, however we die
flock -n 9 || { echo "$me is already running" >&2; exit 1; }
printf 'catherd: 1\npid: %s\nstart: "%s"\n' $$ "$start" > "agents/$me.lock"

publish() { # publish PATH: standard input becomes the file, whole; false where the name is taken
  stage=.tmp/$$-$start-$(date +%s)-${1##*/}
  cat > "$stage"; sync "$stage"
  if ln "$stage" "$1" 2>/dev/null; then rm "$stage"; else rm "$stage"; return 1; fi
}
names() { sed -n '/^names:/,/^[a-mo-z]/s/^  \([a-z]*\): '"$1"'$/\1/p' "$open"; }   # code names of an agent
inputs() { awk -v kind="$1" '/^- path:/{k=""} /^  kind:/{k=$2} /^  by:/&&k==kind{print $2}' "$open"; }
others() { inputs proposal | grep -vx "${mine:--}" | sort -u; }
critics() { awk -v me="$mine" '/^  by:/{by=$2} /^    - to:/&&$3==me{print by}' "$open" | sort -u; }

pitch() { printf 'title: %s\nbody: |\n' 'Rain Gauge'
  printf '  %s\n' '## User' 'Edda, who waters forty pots on a roof and never knows whether it rained enough.' '## Core loop' \
    '`gauge 12` writes one line: date, millimetres. `gauge` says which of the last seven days were dry.' '## Biggest risk' \
    'She forgets on the first sunny day.'; }
objections() { echo 'objections:'
  for one in $(others); do printf -- '- to: %s\n  best: It names a person.\n  objection: %s\n  question: %s\n  risk: 2\n  why: small\n' \
    "$one" 'It asks for a habit before it gives anything back.' 'What does it give on the first evening?'; done; }
answers() { echo 'decision: stand'
  for one in $(critics); do test "${head:-}" || { head=1; echo 'answers:'; }
    printf -- '- by: %s\n  verdict: rebut\n  text: One number after the rain is less than a habit.\n' "$one"; done; }
final() { printf 'speaks_for: %s\nbody: Twelve characters a day, and the basil lives.\n' "$mine"; }
ballot() { echo 'ranking:'; others | sed 's/^/- /'; }

say() { publish "chat/$(date -u +%Y%m%dT%H%M%S.000Z).$me.yaml" || true; }

said=
while sleep "${TICK:-1}" && test -e README.md; do
  if test -e PAUSE; then continue; fi
  if test -e goal; then begun=1; elif test "${begun:-}"; then exit 0; else continue; fi
  for open in debate/*/open.yaml; do
    step=${open%/open.yaml}
    test -e "$open" && ! test -e "gates/${step##*/}.yaml" && ! test -e "$step/$me.yaml" || continue
    sed -n '/^roll:/,/^[a-qs-z]/p' "$open" | grep -qx -- "- $me" || continue
    mine=$(names "$me")
    kind=$(sed -n 's/^kind: //p' "$open")
    case $kind in pitch|objections|answers|final|ballot) ;; *) continue ;; esac
    $kind | publish "$step/$me.yaml" || continue
    test "$said" || { said=1; printf 'text: %s is here, in fifty lines of shell.\n' "$me" | say; }
  done
done
