#!/bin/sh
# sallyport-host: the host side of Sallyport. It enrols this machine, keeps sshd's trust (CA keys, revocation list, principals,
# host certificates) as the broker signed it, ends sessions that were opened with a revoked credential, and reports logins.
#
#   sallyport-host install [--token T]    enrol, fetch the trust bundle, tell sshd, start the service
#   sallyport-host sync [--loop]          fetch what is new; --loop waits for news all the time
#   sallyport-host check                  say what is in force and what is wrong; exit code 1 when anything is
#   sallyport-host login-report [--loop]  send the logins that sshd logged
#   sallyport-host end-sessions           end those that were opened with a credential that is revoked; sync and the loops do it too
#   sallyport-host alert SOURCE TEXT…     tell the broker what another watchman on this host saw
#   sallyport-host uninstall              take everything away again and restore sshd's configuration
#   sallyport-host help
#
# Exit codes: 0 done, 1 refused or failed, 2 usage, 3 broker unreachable (or enrolment not yet approved).
# Needs a POSIX shell, awk and sed, curl, and OpenSSH 8.1 or newer. Nothing else, and it never asks a question.
# How it is meant to be read: settings; small tools; the signed request; the bundle; sshd's configuration; live sessions; the
# report of logins; the commands. Everything is in functions, and the last line calls them: half a download does nothing.
# Shells without `local` are meant too: what a function keeps to itself has its name in front, or runs in a subshell `( … )`.
# `A && B || { complain; return 1; }` means what it says: whichever of the two failed.
# shellcheck disable=SC2015

# The broker writes its own address and keys here when it serves this file; values are in single quotes and contain none.
# >>> broker
broker_url=''
broker_bundle_key=''
broker_ca_pem=''
# <<< broker

settings() {
  LC_ALL=C
  export LC_ALL
  PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin:/QOpenSys/pkgs/bin:/QOpenSys/usr/bin:/opt/freeware/bin
  export PATH
  umask 077
  root=${SALLYPORT_ROOT:-} # a folder that stands for / in tests; no service is started then
  case $(uname -s) in
    Linux) platform=linux ;;
    AIX) platform=aix ;;
    OS400) platform=ibmi ;;
    *) platform=other ;;
  esac
  ssh_folder=$root/etc/ssh
  if [ "$platform" = ibmi ]; then
    for settings_folder in /QOpenSys/QIBM/UserData/SC1/OpenSSH/etc /QOpenSys/QIBM/ProdData/SC1/OpenSSH/etc; do
      [ -f "$root$settings_folder/sshd_config" ] && ssh_folder=$root$settings_folder && break
    done
  fi
  home=$root/etc/sallyport
  state=$home/state
  trust=$ssh_folder/sallyport
  sshd_config=$ssh_folder/sshd_config
  dropin_folder=$ssh_folder/sshd_config.d
  dropin=$dropin_folder/10-sallyport.conf
  included=$trust/sshd.conf # where sshd_config includes no folder: the same text, included by a line of its own
  pam_sessions=$root/run/sallyport/sessions
  pam_logins=$root/run/sallyport/logins # what the hook of PAM tells of each login, until it is in the queue
  program=$home/sallyport-host
  sshd_program=${SALLYPORT_SSHD:-$(first_program /usr/sbin/sshd /QOpenSys/QIBM/ProdData/SC1/OpenSSH/sbin/sshd /opt/freeware/sbin/sshd)}
  tmp=$state/tmp.$$
  held='' own_machine='' waiting_for='' verified=no just_heard=no loop=no
  forget
}

first_program() {
  for first_path; do
    [ -x "$first_path" ] && { echo "$first_path"; return; }
  done
  command -v sshd || echo "$1"
}

# ---- small tools ----

say() { printf '%s\n' "sallyport-host: $*"; }
warn() { printf '%s\n' "sallyport-host: $*" >&2; }

# An alarm is for whoever watches this machine's log.
alarm() {
  warn "$1"
  [ -n "$root" ] || logger -p auth.alert -t sallyport-host "$1" 2>/dev/null || :
}

# complain MESSAGE [NEXT]: what is wrong, and what to do about it.
complain() {
  warn "$1"
  [ -z "${2:-}" ] || printf '%s\n' "  next: $2" >&2
}

# die EXIT-CODE MESSAGE [NEXT]. Only from the main shell.
die() {
  complain "$2" "${3:-}"
  exit "$1"
}

now() { date -u +%Y-%m-%dT%H:%M:%SZ; }
random_hex() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }
field() { awk -v word="$1" '$1 == word { sub(/^[^ ]+ /, ""); print }' "$2" 2>/dev/null; }

hash_of() {
  if command -v sha256sum >/dev/null 2>&1; then
    # shellcheck disable=SC2046 # the hash and a hyphen
    set -- $(sha256sum <"$1") && echo "$1"
  else
    openssl dgst -sha256 <"$1" | awk '{ print $NF }'
  fi
}

decode_base64() {
  if command -v base64 >/dev/null 2>&1; then
    base64 -d
  else
    openssl base64 -d
  fi
}

flush() { sync "$1" 2>/dev/null || sync; }

# put SOURCE TARGET MODE: a reader of TARGET meets the old bytes or the new ones. @returns 1 when it could not, and nothing changed
put() {
  cmp -s "$1" "$2" && return 0
  cp "$1" "$2.new.$$" && chmod "$3" "$2.new.$$" && flush "$2.new.$$" && mv -f "$2.new.$$" "$2" && return 0
  rm -f "$2.new.$$"
  complain "Could not write $2." "Look whether the disk is full or read-only. What was there is still in force."
  return 1
}

# keep TARGET MODE: as put, from standard input.
keep() {
  cat >"$tmp/keep" && put "$tmp/keep" "$1" "$2"
}

# Tells a process from a later one that got the same number.
mark_of() { ps -o args= -p "$1" 2>/dev/null | cksum | tr -d ' \n'; }

# take_lock NAME SECONDS: @returns 1 when another run holds it for longer than that. What a killed run left behind is taken over.
take_lock() {
  take_file=$state/$1.lock
  take_left=$(($2 * 10 + 1))
  [ -n "${own_mark:-}" ] || own_mark=$(mark_of $$)
  echo "$$ $own_mark" >"$tmp/lock" || return 1
  while :; do
    if ln "$tmp/lock" "$take_file" 2>/dev/null; then
      rm -f "$tmp/lock"
      held="$held $take_file"
      return 0
    fi
    take_owner=$(cat "$take_file" 2>/dev/null)
    if [ -n "$take_owner" ] && [ "$(mark_of "${take_owner%% *}")" != "${take_owner#* }" ]; then
      # Two may come to this point; the one that moved a lock which is not the dead one's gives it back.
      if mv "$take_file" "$tmp/dead" 2>/dev/null; then
        [ "$(cat "$tmp/dead")" = "$take_owner" ] || ln "$tmp/dead" "$take_file" 2>/dev/null
        rm -f "$tmp/dead"
      fi
      continue
    fi
    take_left=$((take_left - 1))
    [ "$take_left" -gt 0 ] || break
    # Tenths of a second, where sleep knows them.
    sleep 0.1 2>/dev/null || { sleep 1; take_left=$((take_left - 9)); }
  done
  rm -f "$tmp/lock"
  return 1
}

drop_lock() {
  rm -f "$state/$1.lock"
  drop_kept=''
  for drop_file in $held; do
    [ "$drop_file" = "$state/$1.lock" ] || drop_kept="$drop_kept $drop_file"
  done
  held=$drop_kept
}

clean_up() {
  [ -z "$waiting_for" ] || kill "$waiting_for" 2>/dev/null
  # shellcheck disable=SC2086 # a list of paths that we made
  [ -z "$held" ] || rm -f $held
  rm -rf "$tmp"
}

# Folders, a place for this run's own files, and what killed runs left behind.
begin() {
  # Whoever may become root on IBM i (QSECOFR) counts as user 0 too. In a test's own folder anybody may run it.
  [ "$(id -u)" = 0 ] || [ -n "$root" ] || die 1 'This must run as root: it writes the trust of sshd.' 'Run it again with sudo, or as QSECOFR on IBM i.'
  [ -x "$sshd_program" ] || die 1 'There is no sshd on this machine.' 'Install the OpenSSH server, or name it in SALLYPORT_SSHD.'
  for begin_program in curl ssh-keygen awk sed ps; do
    command -v "$begin_program" >/dev/null 2>&1 || die 1 "The program $begin_program is missing." "Install it and run this again."
  done
  [ -d "$state" ] || { mkdir -p "$state" && chmod 755 "$home" && chmod 700 "$state"; } || die 1 "Could not make $state."
  for begin_left in "$state"/tmp.*; do
    [ -d "$begin_left" ] && ! kill -0 "${begin_left##*.}" 2>/dev/null && rm -rf "$begin_left"
  done
  mkdir -p "$tmp" || die 1 "Could not make $tmp." 'Look whether the disk is full.'
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

# ---- who this machine is ----

# What tells this machine from a copy of its disk, hashed: it says nothing about the machine to whoever reads it.
# Sets own_machine.
know_machine() {
  [ -z "$own_machine" ] || return 0
  {
    case $platform in
      aix)
        uname -m
        lsattr -El sys0 -a os_uuid 2>/dev/null
        ;;
      ibmi)
        uname -m
        uname -n
        ;;
      *)
        cat "$root/sys/class/dmi/id/product_uuid" "$root/etc/machine-id" 2>/dev/null
        # Containers and some virtual machines have no hardware id of their own.
        [ -s "$root/sys/class/dmi/id/product_uuid" ] || [ -n "$root" ] || cat /sys/class/net/e*/address 2>/dev/null
        ;;
    esac
  } >"$tmp/machine"
  own_machine=$(hash_of "$tmp/machine")
}

# @returns 0 when there is an identity and it was made on this machine
is_own_identity() {
  [ -s "$home/identity" ] && [ -s "$state/machine" ] || return 1
  know_machine
  read -r identity_machine <"$state/machine" && [ "$identity_machine" = "$own_machine" ]
}

host_id() { field host "$home/config"; }

openssh_version() { "$sshd_program" -V 2>&1 | sed -n 's/.*\(OpenSSH_[A-Za-z0-9._]*\).*/\1/p' | head -n 1; }

# Private keys of sshd that can be signed with, one path a line.
host_keys() {
  know_effective
  awk '$1 == "hostkey" { print $2 }' "$tmp/effective" | while IFS= read -r key_path; do
    [ -r "$key_path" ] && [ -r "$key_path.pub" ] && echo "$key_path"
  done
}

key_line() { awk 'NR == 1 { print $1, $2 }' "$1"; }

# ---- the signed request (docs/formats/host-protocol.md) ----

# begin_request ACTION: prints the first lines of the document.
begin_request() {
  printf 'sallyport-host-request 1\naction %s\ntime %s\nnonce %s\n' "$1" "$(now)" "$(random_hex)"
}

# ask ROUTE DOCUMENT TIMEOUT [HOST-KEY…]: signs the document with the identity and each host key, and sends it.
# Sets `status`; the answer is in $tmp/answer. @returns 0 answered with 2xx, 1 refused, 3 not reached
ask() {
  ask_route=$1 ask_document=$2 ask_timeout=$3
  shift 3
  cp "$ask_document" "$tmp/signed" || return 1
  for ask_key in "$home/identity" "$@"; do
    ssh-keygen -Y sign -n host-request@sallyport -f "$ask_key" <"$ask_document" >>"$tmp/signed" 2>"$tmp/error" && continue
    complain "ssh-keygen could not sign with $ask_key: $(tail -n 1 "$tmp/error")" 'OpenSSH 8.1 or newer is needed.'
    return 1
  done
  send "$ask_route" "$ask_timeout" -H 'Content-Type: text/plain' --data-binary "@$tmp/signed"
}

# send ROUTE TIMEOUT [curl option…]
send() {
  send_route=$1 send_timeout=$2
  shift 2
  [ ! -s "$home/broker-ca.pem" ] || set -- --cacert "$home/broker-ca.pem" "$@"
  rm -f "$tmp/answer"
  # -q: no .curlrc of anybody. No redirect is followed.
  # In the background, so that a signal ends a long wait at once.
  curl -q -sS --proto '=https' --connect-timeout 10 --max-time "$send_timeout" --max-filesize 33554432 \
    -H 'Accept: text/plain' -o "$tmp/answer" -w '%{http_code}' "$@" "$(field broker "$home/config")$send_route" >"$tmp/status" 2>"$tmp/error" &
  waiting_for=$!
  wait "$waiting_for"
  send_curl=$?
  waiting_for=''
  status='' refusal=''
  read -r status <"$tmp/status" || : # curl ends it without a line feed
  if [ "$send_curl" -ne 0 ]; then
    status=000
    warn "the broker did not answer: $(head -n 1 "$tmp/error")"
    return 3
  fi
  case $status in
    2??) [ -f "$tmp/answer" ] || : >"$tmp/answer"; return 0 ;;
    # A broker that is busy or starting has refused nothing.
    429 | 5??) send_exit=3 ;;
    *) send_exit=1 ;;
  esac
  [ ! -f "$tmp/answer" ] || tr -cd '\n\040-\176' <"$tmp/answer" | cut -c 1-400 >"$tmp/refused"
  mv -f "$tmp/refused" "$tmp/answer" 2>/dev/null || : >"$tmp/answer"
  refusal=$(field error "$tmp/answer" | head -n 1)
  complain "the broker refused (${refusal:-status $status}): $(field detail "$tmp/answer" | head -n 1)" "$(field next "$tmp/answer" | head -n 1)"
  return "$send_exit"
}

# @returns 0 when a file holds lines of printable ASCII and nothing else
printable() { [ -f "$1" ] && [ $(($(tr -d '\n\040-\176' <"$1" | wc -c))) = 0 ]; }

# @returns 0 when the answer is one that we understand
is_answer() {
  printable "$tmp/answer" && [ "$(head -n 1 "$tmp/answer")" = 'sallyport-host-answer 1' ] && return 0
  complain 'The broker gave an answer that this script does not understand.' 'Fetch the script that belongs to the broker: install it again.'
  return 1
}

# Makes the key that the broker will know this host by.
make_identity() {
  rm -f "$tmp/identity" "$tmp/identity.pub"
  ssh-keygen -q -t ed25519 -N '' -C sallyport-host -f "$tmp/identity" || return 1
  know_machine
  echo "$own_machine" >"$tmp/mark"
  # The mark first: an identity without one is nobody's.
  put "$tmp/mark" "$state/machine" 600 && put "$tmp/identity.pub" "$home/identity.pub" 644 && put "$tmp/identity" "$home/identity" 600
}

# enrol TOKEN NAMES ADDRESSES: asks the broker to take this host in. @returns 0 enrolled, 3 pending or unreachable, 1 refused
enrol() {
  know_machine
  host_keys >"$tmp/host-keys"
  [ -s "$tmp/host-keys" ] || { complain 'sshd has no host key that can be read.' 'Run ssh-keygen -A.'; return 1; }
  {
    begin_request enrol
    [ -z "$1" ] || echo "token $1"
    echo "identity $(key_line "$home/identity.pub")"
    for enrol_name in $2; do echo "name $enrol_name"; done
    for enrol_address in $3; do echo "address $enrol_address"; done
    while IFS= read -r enrol_key; do echo "hostkey $(key_line "$enrol_key.pub")"; done <"$tmp/host-keys"
    echo "platform $platform"
    echo "sshd $(openssh_version)"
    echo "machine $own_machine"
  } >"$tmp/request"
  ask_with_host_keys /v1/hosts/enrol || return
  is_answer || return 1
  enrol_key=$(field bundle-key "$tmp/answer" | awk 'NR == 1 { print $1, $2 }') # a comment may stand behind it
  if [ -s "$home/bundle.pub" ]; then
    [ -z "$enrol_key" ] || [ "$enrol_key" = "$(key_line "$home/bundle.pub")" ] || {
      complain 'The broker names another bundle key than the one that is pinned here.' 'Ask whoever runs the broker; nothing has been changed.'
      return 1
    }
  else
    echo "$enrol_key" | keep "$home/bundle.pub" 644 || return 1
  fi
  enrol_id=$(field host "$tmp/answer" | head -n 1)
  case $enrol_id in
    h-*[!a-z2-7]* | '') enrol_id='' ;;
    h-*) ;;
    *) enrol_id='' ;;
  esac
  enrol_status=$(field status "$tmp/answer" | head -n 1)
  case $enrol_status in
    enrolled)
      [ -n "$enrol_id" ] || { complain 'The broker gave no host id.'; return 1; }
      place_certificates || return
      set_config host "$enrol_id" && set_config group "$(field group "$tmp/answer" | head -n 1)" || return 1
      rm -f "$home/token"
      say "enrolled as $enrol_id"
      ;;
    pending)
      say "the broker waits for an admin to approve this host."
      say "identity: $(field fingerprint "$tmp/answer" | head -n 1); here it is $(ssh-keygen -l -f "$home/identity.pub" | awk '{ print $2 }')"
      say "They must be the same, and the same as in \`sallyport host list\`."
      return 3
      ;;
    *) complain "The broker answered with an unknown status."; return 1 ;;
  esac
}

# Every host key signs too: whoever asks for its certificate shows that he holds it.
ask_with_host_keys() {
  set -- "$1" "$tmp/request" 60
  while IFS= read -r with_key; do set -- "$@" "$with_key"; done <"$tmp/host-keys"
  ask "$@"
}

# Certificates of the answer, each beside sshd's other trust, after a look that it is a host certificate of one of our keys.
place_certificates() {
  mkdir -p "$trust" && chmod 755 "$trust" || return 1
  field certificate "$tmp/answer" >"$tmp/certificates"
  while IFS= read -r place_line; do
    echo "$place_line" >"$tmp/certificate.pub"
    place_print=$(ssh-keygen -l -f "$tmp/certificate.pub" 2>/dev/null | awk '{ print $2 }')
    ssh-keygen -L -f "$tmp/certificate.pub" 2>/dev/null | grep -q '^ *Type: .* host certificate$' || place_print=''
    place_target=''
    while IFS= read -r place_key; do
      [ "$(ssh-keygen -l -f "$place_key.pub" | awk '{ print $2 }')" = "$place_print" ] && place_target=$trust/${place_key##*/}-cert.pub
    done <"$tmp/host-keys"
    [ -n "$place_target" ] || { complain 'The broker sent a certificate that is for none of our host keys.'; return 1; }
    cmp -s "$tmp/certificate.pub" "$place_target" && continue
    : >"$state/reload" # sshd reads these when it starts
    put "$tmp/certificate.pub" "$place_target" 644 || return 1
  done <"$tmp/certificates"
}

# set_config WORD VALUE: one line of $home/config; an empty value takes it out.
set_config() {
  [ -f "$home/config" ] || : >"$home/config"
  CONFIG_VALUE=$2 awk -v word="$1" '
    BEGIN { value = ENVIRON["CONFIG_VALUE"] }
    $1 != word { print; next }
    value != "" { print word " " value; value = "" }
    END { if (value != "") print word " " value }' "$home/config" | keep "$home/config" 644
}

# renew: new certificates for the host keys when a third of their life is left, or when one is missing.
renew() {
  host_keys >"$tmp/host-keys"
  renew_due=no
  while IFS= read -r renew_key; do
    is_due "$trust/${renew_key##*/}-cert.pub" && renew_due=yes
  done <"$tmp/host-keys"
  [ "$renew_due" = yes ] || return 0
  {
    begin_request renew
    echo "host $(host_id)"
    while IFS= read -r renew_key; do echo "hostkey $(key_line "$renew_key.pub")"; done <"$tmp/host-keys"
  } >"$tmp/request"
  ask_with_host_keys /v1/hosts/renew || return
  is_answer && place_certificates && say 'host certificates renewed'
}

# is_due CERTIFICATE: @returns 0 when less than a third of its life is left, or it cannot be read
is_due() {
  [ -s "$1" ] || return 0
  TZ=UTC0 ssh-keygen -L -f "$1" 2>/dev/null | TZ=UTC0 awk -v now="$(now)" '
    function seconds(t, y, m, d) { # days since an era that is the same for all three
      y = substr(t, 1, 4); m = substr(t, 6, 2); d = substr(t, 9, 2)
      if (m <= 2) { y--; m += 12 }
      return ((365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * (m - 3) + 2) / 5) + d) * 24 + substr(t, 12, 2)) * 3600 + substr(t, 15, 2) * 60 + substr(t, 18, 2)
    }
    $1 == "Valid:" && $2 == "from" { found = 1; from = seconds($3); to = seconds($5); at = seconds(now) }
    $1 == "Valid:" && $2 == "forever" { forever = 1 }
    END { exit forever || (found && (to - at) * 3 > to - from) ? 1 : 0 }'
}

# ---- the trust bundle (docs/formats/trust-bundle.md) ----

# verify_bundle FILE: @returns 0 when it is a bundle for this host, newer than what is accepted, signed by the pinned key, whole,
# and with a revocation list that loads. Then it is $tmp/verified, and its parts are in $tmp/parts. Changes nothing else.
verify_bundle() {
  verified=no
  printable "$1" || { complain 'The bundle holds bytes that do not belong there.'; return 1; }
  : >"$tmp/signature"
  awk -v document="$tmp/document" -v signature="$tmp/signature" '
    !ended { print > document; ended = $0 == "end"; next }
    { print > signature; last = $0 }
    ++lines == 1 { begins = $0 == "-----BEGIN SSH SIGNATURE-----" }
    $0 == "-----BEGIN SSH SIGNATURE-----" { blocks++ }
    END { exit !(begins && blocks == 1 && last == "-----END SSH SIGNATURE-----") }' "$1"
  verify_one=$?
  [ -s "$tmp/signature" ] && cat "$tmp/document" "$tmp/signature" | cmp -s - "$1" || { complain 'The bundle is cut off.'; return 1; }
  [ "$verify_one" = 0 ] || { complain 'The bundle has no signature, or more than one.'; return 1; }
  printf 'bundle %s\n' "$(key_line "$home/bundle.pub")" >"$tmp/allowed"
  ssh-keygen -Y verify -n trust-bundle@sallyport -f "$tmp/allowed" -I bundle -s "$tmp/signature" <"$tmp/document" >/dev/null 2>&1 || {
    complain 'The bundle is not signed by the key that is pinned here.' 'Nothing has been changed. Tell whoever runs the broker.'
    return 1
  }
  take_apart || return 1
  read -r verify_host <"$tmp/parts/host" && [ "$verify_host" = "$(host_id)" ] || { complain 'The bundle is for another host.'; return 1; }
  load_list "$tmp/parts/revoked.krl" && mv "$1" "$tmp/verified" && verified=yes
}

# Parts of a verified document. Strict, although it is signed: a mistake of the broker must not become a lockout.
take_apart() {
  rm -rf "$tmp/parts"
  mkdir -p "$tmp/parts/principals" || return 1
  awk -v parts="$tmp/parts" '
    function refuse(why) { if (!refused) print why; refused = 1; exit 1 }
    function once(word, pattern) {
      if (seen[word]++) refuse("says " word " twice")
      if (NF != 2 || $2 !~ pattern) refuse("has a " word " that is none")
      print $2 > (parts "/" word); close(parts "/" word)
    }
    function key(word) {
      if (NF < 3 || $2 !~ /^[a-z0-9@.-]+$/ || $3 !~ /^[A-Za-z0-9+\/]+=*$/) refuse("has a key that is none")
      seen[word]++
      print $2, $3 > (parts "/" word)
    }
    NR == 1 { if ($0 != "sallyport-bundle 1") refuse("is of another version"); next }
    ended { refuse("goes on after its end") }
    in_list {
      if ($0 == "end-krl") { in_list = 0; next }
      if ($0 !~ /^[A-Za-z0-9+\/]+=*$/) refuse("has a revocation list that is not base64")
      print > (parts "/base64"); next
    }
    $1 == "broker" { once("broker", "^https://"); next }
    $1 == "host" { once("host", "^h-[a-z2-7]+$"); next }
    $1 == "group" { once("group", "^[A-Za-z0-9._-]+$"); next }
    $1 == "version" { once("version", "^[1-9][0-9]*$"); if (length($2) > 15) refuse("has a version that is none"); next }
    $1 == "issued" || $1 == "fresh-until" { once($1, "^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9][.0-9]*Z$"); next }
    $1 == "when-stale" { once("when-stale", "^(warn|close)$"); next }
    $1 == "end-sessions" { once("end-sessions", "^(off|report|on)$"); next }
    $1 == "userca" || $1 == "hostca" { key($1); next }
    $1 == "principal" {
      # The account becomes the name of a file.
      if (NF != 3 || $2 !~ /^[A-Za-z0-9_$@+\\][A-Za-z0-9_$@.+\\-]*$/ || length($2) > 128 || $3 !~ /^[A-Za-z0-9_$@.+\\-]+$/) refuse("has a principal that is none")
      file = parts "/principals/" $2
      print $3 >> file; close(file)
      next
    }
    $1 == "krl" {
      if (seen["krl"]++ || NF != 4 || $2 !~ /^[0-9]+$/ || $3 !~ /^[0-9]+$/ || length($4) != 64 || $4 !~ /^[0-9a-f]+$/) refuse("has a revocation list that is none")
      print $3 > (parts "/krl-size"); print $4 > (parts "/krl-hash"); in_list = 1; next
    }
    $0 == "end" { ended = 1; next }
    { refuse("has a line that this script does not know") }
    END {
      if (refused) exit 1
      if (in_list || !ended) refuse("is not whole")
      count = split("broker host group version issued fresh-until when-stale end-sessions userca krl", needed, " ")
      for (i = 1; i <= count; i++) if (!seen[needed[i]]) refuse("has no " needed[i])
    }' "$tmp/document" >"$tmp/why" || { complain "The bundle $(cat "$tmp/why")." 'Nothing has been changed. Tell whoever runs the broker.'; return 1; }
  decode_base64 <"$tmp/parts/base64" >"$tmp/parts/revoked.krl" 2>/dev/null || : # judged by what came out
  read -r apart_size <"$tmp/parts/krl-size" && read -r apart_hash <"$tmp/parts/krl-hash" &&
    [ $(($(wc -c <"$tmp/parts/revoked.krl"))) = "$apart_size" ] && [ "$(hash_of "$tmp/parts/revoked.krl")" = "$apart_hash" ] || { complain 'The revocation list in the bundle is damaged.'; return 1; }
}

# sshd refuses everybody when the list does not load, so OpenSSH itself is asked first.
load_list() {
  ssh-keygen -Q -f "$1" "$home/identity.pub" 2>/dev/null | grep -Eq ': (ok|REVOKED)$' && return 0
  complain 'The revocation list does not load in the OpenSSH of this machine.' 'Nothing has been changed. Tell whoever runs the broker.'
  return 1
}

# load_bundle: the accepted bundle, once for a round: parts in $tmp/parts, and bundle_…. Its file may be damaged: it is verified anew,
# unless it has the very bytes that this run verified last.
load_bundle() {
  [ -z "$bundle_version" ] || return 0
  [ -s "$state/bundle" ] || return 1
  [ "$verified" = yes ] && cmp -s "$state/bundle" "$tmp/verified" && read_facts && return 0
  cp "$state/bundle" "$tmp/accepted" && verify_bundle "$tmp/accepted" && read_facts
}

read_facts() {
  read -r bundle_version <"$tmp/parts/version" &&
    read -r bundle_until <"$tmp/parts/fresh-until" &&
    read -r bundle_when_stale <"$tmp/parts/when-stale" &&
    read -r bundle_end_sessions <"$tmp/parts/end-sessions"
}

# Each round looks anew: another run may have changed things meanwhile.
forget() {
  bundle_version='' bundle_until='' effective_known=no
}

# greater A B, beyond what the arithmetic of every shell holds.
greater() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a + 0 > b + 0) }'; }

# accept_bundle FILE: the one place that lets a new bundle in. What is in force is derived from $state/bundle ever after, so
# a run that is killed from here on is finished by the next one.
accept_bundle() {
  accept_old=${bundle_version:-0}
  bundle_version=''
  verify_bundle "$1" && read_facts || {
    bundle_version=''
    return 1
  }
  # Another run may have taken a newer one while this one waited.
  accept_newest=$(awk -v version="$bundle_version" -v old="$accept_old" '
    $1 == "version" { if ($2 + 0 > old + 0) old = $2; exit } END { if (version + 0 <= old + 0) print old }' "$state/bundle" 2>/dev/null)
  [ -z "$accept_newest" ] || {
    complain "The bundle has version $bundle_version; $accept_newest is already here." 'An old bundle was sent again. Nothing has been changed. Tell whoever runs the broker.'
    bundle_version=''
    return 1
  }
  put "$tmp/verified" "$state/bundle" 600 && return 0
  bundle_version=''
  return 1
}

# enforce: puts in place what the loaded bundle says, where it is not in place already.
enforce() {
  [ -d "$trust/principals" ] || { mkdir -p "$trust/principals" && chmod 755 "$trust" "$trust/principals"; } || return 1
  sweep "$trust"/*.new.* "$trust"/principals/*.new.* "$home"/*.new.* "$state"/*.new.*
  # The list first: no moment with new trust and old revocations.
  put "$tmp/parts/revoked.krl" "$trust/revoked.krl" 644 || return 1
  for enforce_file in "$trust"/principals/*; do
    [ ! -f "$enforce_file" ] || [ -f "$tmp/parts/principals/${enforce_file##*/}" ] || rm -f "$enforce_file"
  done
  for enforce_file in "$tmp"/parts/principals/*; do
    [ ! -f "$enforce_file" ] || put "$enforce_file" "$trust/principals/${enforce_file##*/}" 644 || return 1
  done
  enforce_trust=$tmp/parts/userca
  if [ "$bundle_when_stale" = close ] && is_stale; then
    enforce_trust=$tmp/closed
    echo '# Closed by sallyport-host: the trust bundle is older than it may be. The next good one opens it again.' >"$enforce_trust"
  fi
  put "$enforce_trust" "$trust/user_ca.pub" 644
}

# What killed runs left behind: files that end in the number of a process that is no more.
sweep() {
  for sweep_file; do
    [ ! -f "$sweep_file" ] || kill -0 "${sweep_file##*.}" 2>/dev/null || rm -f "$sweep_file"
  done
}

# settle: what the accepted bundle says is in force again, whatever happened to the files or to the last run.
settle() {
  forget
  [ -s "$state/bundle" ] || return 0
  load_bundle && enforce
}

# @returns 0 when the loaded bundle is older than it may be
is_stale() {
  # Both are UTC and of one shape up to the seconds: they compare as text.
  awk -v until="$bundle_until" -v now="$(now)" 'BEGIN { exit !(substr(until, 1, 19) "" <= substr(now, 1, 19) "") }'
}

# ---- sshd's configuration ----

# know_effective: what sshd makes of its configuration, in $tmp/effective. @returns 1 when it makes nothing of it
know_effective() {
  [ "$effective_known" = yes ] || { effective >"$tmp/effective" && effective_known=yes; }
}

effective() {
  # Before OpenSSH 7.x -T wanted a connection where the file has Match blocks: this one matches none.
  "$sshd_program" -T -f "$sshd_config" 2>/dev/null || "$sshd_program" -T -f "$sshd_config" -C user=nobody-at-all,host=host.invalid,addr=192.0.2.1 2>"$tmp/error"
}

# What sshd is to be told. Global lines only: it stands in front of every Match block.
wanted_lines() {
  echo "TrustedUserCAKeys $trust/user_ca.pub"
  echo "RevokedKeys $trust/revoked.krl"
  set -- "$tmp"/parts/principals/*
  if [ -f "$1" ]; then
    echo "AuthorizedPrincipalsFile $trust/principals/%u"
  elif [ "${take_over:-no}" = yes ] || [ "$(field principals-file "$home/config")" = none ]; then
    echo 'AuthorizedPrincipalsFile none'
  fi
  for wanted_file in "$trust"/*-cert.pub; do
    [ ! -f "$wanted_file" ] || echo "HostCertificate $wanted_file"
  done
}

# @returns 0 when sshd accepts its configuration, and what is wanted is what it would do
is_in_force() {
  know_effective || return 1 # -T checks all that -t does
  wanted_lines >"$tmp/wanted"
  awk '
    FILENAME == ARGV[1] { followed[$0] = 1; next }
    { word = $1; if (!((tolower(word) substr($0, length(word) + 1)) in followed)) { print "sshd does not follow the line: " $0; exit 1 } }' "$tmp/effective" "$tmp/wanted" >"$tmp/error"
}

# Someone else's trust stays as it is, unless we are told to take over.
refuse_foreign() {
  know_effective || { complain "sshd does not accept its configuration: $(tail -n 1 "$tmp/error")" 'Mend it first (sshd -t); nothing has been changed.'; return 1; }
  [ "${take_over:-no}" = no ] || return 0
  foreign=$(awk -v ours="$trust/" '($1 == "trustedusercakeys" || $1 == "revokedkeys" || $1 == "authorizedprincipalsfile") && $2 != "none" && index($2, ours) != 1' "$tmp/effective" | head -n 1)
  [ -z "$foreign" ] && return 0
  complain "sshd already trusts something else: $foreign" 'Nothing has been changed. To replace it run install again with --take-over.'
  return 1
}

# @returns 0 when sshd_config includes our drop-in before its first Match line
includes_dropin() {
  sed -n -e 's/^[ 	]*//' -e '/^[Mm][Aa][Tt][Cc][Hh][ 	=]/q' -e 's/^[Ii][Nn][Cc][Ll][Uu][Dd][Ee][ 	=][ 	=]*//p' "$sshd_config" | tr -d '"' | tr '\t' ' ' | tr ' ' '\n' | (
    includes_found=1
    while IFS= read -r includes_pattern; do
      case $includes_pattern in
        '' | '#'*) continue ;;
        /*) ;;
        *) includes_pattern=/etc/ssh/$includes_pattern ;;
      esac
      # shellcheck disable=SC2254 # a pattern is what it is
      case $dropin in $includes_pattern) includes_found=0 ;; esac
    done
    exit $includes_found
  )
}

# The bytes of sshd_config without our lines, which are its first ones.
others_part() {
  case $(head -n 1 "$sshd_config") in
    '# >>> sallyport-host'*) tail -n "+$(($(awk '/^# <<< sallyport-host/ { print NR; exit }' "$sshd_config") + 1))" "$sshd_config" ;;
    *) cat "$sshd_config" ;;
  esac
}

with_our_part() {
  # shellcheck disable=SC2016 # the name of a command
  echo '# >>> sallyport-host: these lines go away with `sallyport-host uninstall`'
  if [ "$1" = include ]; then echo "Include $included"; else wanted_lines; fi
  echo '# <<< sallyport-host'
  others_part
}

# begin_change PATH…: what can be taken back. Until `end_change` every run, also one after a kill, restores these files first.
begin_change() {
  rm -rf "$state/change.new"
  mkdir "$state/change.new" || return 1
  begin_count=0
  for begin_path; do
    begin_count=$((begin_count + 1))
    echo "$begin_path" >"$state/change.new/$begin_count.path" || return 1
    [ ! -f "$begin_path" ] || cp -p "$begin_path" "$state/change.new/$begin_count.saved" || return 1
  done
  flush "$state/change.new"
  mv "$state/change.new" "$state/change"
}

end_change() {
  rm -rf "$state/change.done"
  mv "$state/change" "$state/change.done" && rm -rf "$state/change.done"
}

take_back() {
  for back_file in "$state"/change/*.path; do
    [ -f "$back_file" ] || continue
    back_path=$(cat "$back_file")
    if [ -f "${back_file%.path}.saved" ]; then
      cp -p "${back_file%.path}.saved" "$back_path.new.$$" && mv -f "$back_path.new.$$" "$back_path" || return 1
    else
      rm -f "$back_path"
    fi
  done
  end_change
}

recover() {
  [ -d "$state/change" ] || return 0
  take_back && say 'an earlier run was stopped halfway: its changes to the configuration of sshd were taken back.'
}

# rewrite FILE: replaces sshd_config by FILE, with the owner, mode and label that it had.
rewrite() {
  cp -p "$sshd_config" "$sshd_config.new.$$" && cat "$1" >"$sshd_config.new.$$" && flush "$sshd_config.new.$$" && mv -f "$sshd_config.new.$$" "$sshd_config" || {
    rm -f "$sshd_config.new.$$"
    return 1
  }
  ! command -v restorecon >/dev/null 2>&1 || restorecon "$sshd_config" 2>/dev/null || :
}

# configure: tells sshd, or leaves everything as it was. Three ways, the gentlest first.
configure() {
  case $(field way "$home/config") in
    dropin) [ -f "$dropin" ] && dropin_text | cmp -s - "$dropin" && is_in_force && return 0 ;;
    include) [ -f "$included" ] && dropin_text | cmp -s - "$included" && is_in_force && return 0 ;;
    block) with_our_part block | cmp -s - "$sshd_config" && is_in_force && return 0 ;;
    *) refuse_foreign || return 1 ;;
  esac
  for configure_way in dropin include block; do
    [ "$configure_way" != dropin ] || includes_dropin || continue
    try_way "$configure_way" && return 0
  done
  complain "sshd does not accept what it should be told: $(tail -n 1 "$tmp/error")" 'Everything is as it was. Look at the line that it names.'
  return 1
}

dropin_text() {
  echo '# Written by sallyport-host, and written again when the broker says so: do not edit.'
  wanted_lines
}

try_way() {
  case $1 in
    dropin) try_file=$dropin ;;
    *) try_file=$included ;;
  esac
  begin_change "$try_file" "$sshd_config" "$home/config" || return 1
  if [ "$1" != dropin ] && [ ! -f "$state/sshd_config.orig" ]; then
    others_part >"$tmp/original" && cp -p "$sshd_config" "$state/orig.new" && cat "$tmp/original" >"$state/orig.new" && touch -r "$sshd_config" "$state/orig.new" && mv "$state/orig.new" "$state/sshd_config.orig"
  fi
  effective_known=no
  if place_way "$1" && is_in_force && set_config way "$1"; then
    : >"$state/reload" && end_change
    return
  fi
  take_back
  effective_known=no
  return 1
}

place_way() {
  if [ "$1" != block ]; then
    dropin_text | keep "$try_file" 644 || return 1
    # SELinux: a file made in one folder and moved has the label of the other.
    ! command -v restorecon >/dev/null 2>&1 || restorecon -R "$trust" "$try_file" 2>/dev/null || :
  fi
  [ "$1" != dropin ] || return 0
  with_our_part "$1" >"$tmp/sshd_config" || return 1
  cmp -s "$tmp/sshd_config" "$sshd_config" || rewrite "$tmp/sshd_config"
}

# Running sessions stay; new logins meet the new configuration.
reload_sshd() {
  [ -f "$state/reload" ] || return 0
  "$sshd_program" -t -f "$sshd_config" 2>"$tmp/error" || {
    complain "sshd was not reloaded, because it would not start with its configuration: $(tail -n 1 "$tmp/error")" 'Mend it (sshd -t); the next run reloads.'
    return 1
  }
  reload_pid=$(listener_pid)
  if [ -n "$root" ] || ! reload_service; then
    # No number: no sshd runs, and the next one reads it all.
    [ -z "$reload_pid" ] || ! kill -0 "$reload_pid" 2>/dev/null || kill -HUP "$reload_pid" 2>/dev/null || warn 'sshd could not be reloaded; restart it to use the new host certificates.'
  fi
  rm -f "$state/reload"
}

# The process of sshd that waits for connections; nothing when none runs.
listener_pid() {
  know_effective
  cat "$(awk '$1 == "pidfile" { print $2 }' "$tmp/effective")" 2>/dev/null
}

reload_service() {
  case $platform in
    linux)
      command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ] || return 1
      for reload_unit in ssh sshd; do
        systemctl -q is-active "$reload_unit" && systemctl reload "$reload_unit" && return 0
      done
      return 1
      ;;
    aix) refresh -s sshd >/dev/null 2>&1 ;;
    *) return 1 ;;
  esac
}

# ---- logins: read from sshd's log, kept in a queue until the broker has them ----

# The queue is one file, replaced by rename: the place in the log and what was read up to it change together.
#   queue 1 / boot HEX / next SEQ / last TIME / cursor …   then `login|session|alert|gap SEQ TIME …`

start_queue() {
  [ -s "$state/queue" ] || printf 'queue 1\nboot %s\nnext 1\n' "$(random_hex)" | keep "$state/queue" 600
}

log_source() {
  log_source=$(field log "$home/config")
  [ -z "$log_source" ] || { echo "$log_source"; return; }
  if [ -z "$root" ] && command -v journalctl >/dev/null 2>&1 && [ -d /run/systemd/journal ]; then
    echo journal
  else
    for log_file in /var/log/auth.log /var/log/secure /var/adm/authlog /var/log/syslog /var/adm/messages; do
      [ ! -f "$root$log_file" ] || { echo "file $root$log_file"; return; }
    done
    if [ -f "$home/pam-session" ]; then echo pam; else echo none; fi
  fi
}

# read_log: new lines into $tmp/raw, the place after them into $tmp/cursor, what was missed into $tmp/missed.
read_log() {
  : >"$tmp/raw"; : >"$tmp/missed"; : >"$tmp/cursor"
  read_from=$(field cursor "$state/queue")
  read_source=$(log_source)
  case $read_source in
    journal) read_journal ;;
    'file '*) read_file "${read_source#file }" ;;
    pam) read_pam ;;
  esac
}

read_journal() {
  # Only what root's processes said under that name: anybody may write to the journal.
  set -- -q --no-pager --show-cursor -o short-iso _UID=0 SYSLOG_IDENTIFIER=sshd + _UID=0 SYSLOG_IDENTIFIER=sshd-session
  case $read_from in
    'journal '*) journalctl --after-cursor="${read_from#journal }" "$@" >"$tmp/journal" 2>/dev/null ;;
    *) journalctl -n 0 --show-cursor -q --no-pager >"$tmp/journal" 2>/dev/null ;;
  esac || { [ -z "$read_from" ] || echo journal-lost >"$tmp/missed"; journalctl -n 0 --show-cursor -q --no-pager >"$tmp/journal" 2>/dev/null || :; }
  sed -n 's/^-- cursor: /journal /p' "$tmp/journal" | tail -n 1 >"$tmp/cursor"
  sed '/^-- /d' "$tmp/journal" >"$tmp/raw"
}

# shellcheck disable=SC2012 # POSIX has nothing else that tells it
inode_of() { ls -i "$1" 2>/dev/null | awk '{ print $1; exit }'; }
size_of() { wc -c <"$1" | tr -d ' '; }

read_file() {
  [ -f "$1" ] || return 0
  file_inode=$(inode_of "$1")
  case $read_from in
    'file '*)
      file_then=${read_from#file }
      file_offset=${file_then#* }
      file_then=${file_then%% *}
      if [ "$file_then" != "$file_inode" ]; then
        file_found=no
        for file_old in "$1".*; do
          [ "$(inode_of "$file_old")" = "$file_then" ] && read_rest "$file_old" "$file_offset" && file_found=yes && break
        done
        [ "$file_found" = yes ] || echo log-rotated-away >"$tmp/missed"
        file_offset=0
      elif greater "$file_offset" "$(size_of "$1")"; then
        echo log-truncated >"$tmp/missed"
        file_offset=0
      fi
      ;;
    *) file_offset=$(size_of "$1") ;; # what was before this host was enrolled is not ours to tell
  esac
  read_rest "$1" "$file_offset"
  echo "file $file_inode $(sum "$file_offset" "$read_bytes")" >"$tmp/cursor"
}

sum() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.0f", a + b }'; }

# read_rest FILE OFFSET: whole lines only, and at most some megabytes at once.
read_rest() {
  tail -c "+$(sum "$2" 1)" "$1" | dd bs=65536 count=64 2>/dev/null >"$tmp/rest"
  if [ -s "$tmp/rest" ] && [ "$(tail -c 1 "$tmp/rest" | od -An -tx1 | tr -d ' \n')" != 0a ]; then
    sed '$d' "$tmp/rest" >"$tmp/whole" && mv "$tmp/whole" "$tmp/rest"
  fi
  read_bytes=$(size_of "$tmp/rest")
  cat "$tmp/rest" >>"$tmp/raw"
}

# What the hook of PAM kept, as the lines that sshd would have logged. The place in this log is the names of the files that were read: they
# go away by the next run, when they are in the queue for certain.
read_pam() {
  case $read_from in
    'pam '*) for pam_name in ${read_from#pam }; do rm -f "$pam_logins/$pam_name"; done ;;
  esac
  pam_read='' pam_count=0
  [ ! -f "$pam_logins/full" ] || { echo pam-full >"$tmp/missed"; rm -f "$pam_logins/full"; }
  for pam_file in "$pam_logins"/login.*; do
    [ -f "$pam_file" ] && [ "$pam_count" -lt 200 ] || continue
    pam_line "$pam_file" >>"$tmp/raw"
    pam_read="$pam_read ${pam_file##*/}" pam_count=$((pam_count + 1))
  done
  echo "pam$pam_read" >"$tmp/cursor"
}

# pam_line FILE: as sshd's auth_log writes it, from SSH_AUTH_INFO_0. The last of several methods is the one that let the user in.
pam_line() {
  grep . "$1" | tail -n 1 >"$tmp/method"
  read -r line_method line_type line_blob <"$tmp/method" || :
  # No name of a method, and no user, has a blank.
  line_text=$(awk -v node="$(uname -n)" -v method="$line_method" '
    $1 == "pid" { pid = $2 } $1 == "time" { time = $2 } $1 == "user" { user = $2 }
    $1 == "address" { address = $2 } $1 == "port" { port = $2 } $1 == "methods" { exit }
    END { printf "%s %s sshd[%s]: Accepted %s for %s from %s port %s ssh2", time, node, pid, method, user, address, port }' "$1")
  if [ "$line_method" = publickey ]; then
    echo "$line_type $line_blob" >"$tmp/used.pub"
    line_key=$(ssh-keygen -l -f "$tmp/used.pub" 2>/dev/null | awk 'NR == 1 { kind = $NF; gsub(/[()]/, "", kind); print kind, $2 }')
    # The key id may imitate what follows it; the CA stands before it.
    case $line_type in
      *-cert-v01@openssh.com) line_key=$line_key$(ssh-keygen -L -f "$tmp/used.pub" 2>/dev/null | awk '
        $1 == "Signing" && ca == "" { ca = $3 " " $4 }
        $1 == "Key" && $2 == "ID:" && !named { named = 1; id = $0; sub(/^[^"]*"/, "", id); sub(/"$/, "", id) }
        $1 == "Serial:" && serial == "" { serial = $2 }
        END { printf " ID %s (serial %s) CA %s", id, serial, ca }') ;;
    esac
    line_text="$line_text: $line_key"
  fi
  printf '%s\n' "$line_text"
}

# Common to the programs below: times as seconds, and back. (Some awks print a number of that size with an exponent: "%.0f".)
time_functions='
function seconds(t,   y, m, d) {
  y = substr(t, 1, 4) + 0; m = substr(t, 6, 2) + 0; d = substr(t, 9, 2) + 0
  if (m <= 2) { y--; m += 12 }
  return ((365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * (m - 3) + 2) / 5) + d) * 24 + substr(t, 12, 2)) * 3600 + substr(t, 15, 2) * 60 + substr(t, 18, 2)
}
function stamp(s,   z, e, yoe, doy, mp, y, m, d, day) {
  day = int(s / 86400) - 1; s -= (day + 1) * 86400
  e = int(day / 146097); z = day - e * 146097
  yoe = int((z - int(z / 1460) + int(z / 36524) - int(z / 146096)) / 365)
  doy = z - (365 * yoe + int(yoe / 4) - int(yoe / 100))
  mp = int((5 * doy + 2) / 153); d = doy - int((153 * mp + 2) / 5) + 1
  m = mp < 10 ? mp + 3 : mp - 9; y = yoe + e * 400 + (m <= 2)
  return sprintf("%04d-%02d-%02dT%02d:%02d:%02dZ", y, m, d, int(s / 3600), int(s % 3600 / 60), s % 60)
}
function offset(z) { # +0100, +01:00, Z
  if (z == "Z" || z == "") return 0
  gsub(/:/, "", z)
  return (substr(z, 1, 1) == "-" ? -1 : 1) * (substr(z, 2, 2) * 3600 + substr(z, 4, 2) * 60)
}'

# Lines of the log become items without a number (`login TIME LINE`), and sessions that may be alive.
# Anchored at both ends: time, host, the tag of sshd; what a client chose stands in the middle and can forge nothing.
parse_log() {
  awk -v now="$(now)" -v zone="$(date +%z | grep '^[+-][0-9][0-9][0-9][0-9]$')" -v opened="$tmp/opened" "$time_functions"'
    BEGIN { split("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec", name, " "); for (i in name) month[name[i]] = i; at = seconds(now) }
    {
      line = $0
      if ($1 ~ /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]/) {
        match($1, /(Z|[+-][0-9][0-9]:?[0-9][0-9])$/)
        time = seconds($1) - offset(RSTART ? substr($1, RSTART) : "Z"); tag = 3
      } else if (($1 in month) && $2 ~ /^[0-9]+$/ && $3 ~ /^[0-9][0-9]:[0-9][0-9]:[0-9][0-9]$/) {
        time = seconds(sprintf("%s-%02d-%02dT%s", substr(now, 1, 4), month[$1], $2, $3)) - offset(zone)
        if (time > at + 86400) time = seconds(sprintf("%d-%02d-%02dT%s", substr(now, 1, 4) - 1, month[$1], $2, $3)) - offset(zone)
        tag = 5
      } else next
      if ($tag ~ /^[a-z0-9]+\|[a-z]+:[a-z]+$/) tag++ # AIX: auth|security:info
      if ($tag !~ /^sshd(-session)?\[[0-9]+\]:$/ || $(tag + 1) != "Accepted" || $(tag + 3) != "for") next
      gsub(/[^ -~]/, "?", line)
      if (length(line) > 2000) { print "gap " stamp(time) " line-too-long"; next }
      print "login " stamp(time) " " line
      pid = $tag; sub(/^[^[]*\[/, "", pid); sub(/\]:$/, "", pid)
      # … for USER from ADDRESS port N ssh2: TYPE-CERT KEY ID NAME (serial N) CA TYPE FINGERPRINT
      end = NF; if ($(NF - 1) == "=" && $(NF - 3) == "signature") end = NF - 4
      sub(/,$/, "", $end)
      if ($(end - 2) == "CA" && $(end - 4) == "(serial" && $(end - 3) ~ /^[0-9]+\)$/ && $(tag + 5) == "from" && $(tag + 9) == "ssh2:" && end == tag + 18)
        print pid, sprintf("%.0f", time), $(tag + 4), substr($(end - 3), 1, length($(end - 3)) - 1), $end, $(tag + 11), $(tag + 13) > opened
    }' "$tmp/raw"
}

# add_items FILE: `login|session|alert|gap TIME …` lines get their numbers and go into the queue, with the new place in the log.
add_items() {
  {
    awk -v cursor="$(cat "$tmp/cursor" 2>/dev/null)" '
      FILENAME == ARGV[1] {
        if ($1 == "next") { number = $2; next }
        if ($1 == "last") { last = $2; next }
        if ($1 == "cursor") { if (cursor == "") cursor = substr($0, 8); next }
        if ($1 == "queue" || $1 == "boot") { top = top $0 "\n"; next }
        kept[++count] = $0; next
      }
      {
        kind = $1; time = $2; rest = substr($0, length(kind) + length(time) + 3)
        if (kind == "login") last = time
        kept[++count] = kind " " sprintf("%.0f", number++) " " time " " rest
      }
      END {
        printf "%snext %.0f\n", top, number
        if (last != "") print "last " last
        if (cursor != "") print "cursor " cursor
        start = 1
        if (count > 5000) { # the broker was away for long: the oldest go, and the place where they were says so
          start = count - 4000; split(kept[start], part, " ")
          print "gap " part[2] " " part[3] " queue-full"; start++
        }
        for (i = start; i <= count; i++) print kept[i]
      }' "$state/queue" "$1"
  } | keep "$state/queue" 600
}

read_logins() {
  start_queue || return 1
  read_log
  : >"$tmp/opened"
  { awk -v now="$(now)" '{ print "gap " now " " $1 }' "$tmp/missed"; parse_log; } >"$tmp/items"
  # Sessions first: a login that is in the queue and not among the sessions would never be ended.
  note_sessions && add_items "$tmp/items"
}

# ---- live sessions ----

processes() { ps -e -o pid= -o ppid= -o etime= -o args=; }

# $state/sessions: `pid start user serial ca key key-id` of living sshd processes that logged a certificate.
note_sessions() {
  processes >"$tmp/processes"
  [ -f "$state/sessions" ] || : >"$state/sessions"
  awk -v now="$(now)" -v known="$state/sessions" "$time_functions"'
    BEGIN { at = seconds(now) }
    FILENAME == ARGV[1] {
      if ($4 !~ /sshd/) next
      count = split($3, part, /[-:]/); age = part[count] + part[count - 1] * 60
      if (count > 2) age += part[count - 2] * 3600
      if (count > 3) age += part[count - 3] * 86400
      start[$1] = at - age; next
    }
    !($1 in start) || held[$1] { next }
    # The same process still, give or take the second in which ps looked.
    FILENAME == known { if ($2 - start[$1] <= 3 && start[$1] - $2 <= 3) { held[$1] = 1; print } next }
    # sshd logs before the user can do anything: the first line of a process is the true one, later ones may be forged.
    $2 >= start[$1] - 3 { held[$1] = 1; $2 = sprintf("%.0f", start[$1]); print }' "$tmp/processes" "$state/sessions" "$tmp/opened" | keep "$state/sessions" 600
}

# Revoked ones among the living: `pid start serial ca user`.
revoked_sessions() {
  ssh-keygen -Ql -f "$trust/revoked.krl" 2>/dev/null >"$tmp/listing" || :
  awk '
    function le(a, b) { return length(a) != length(b) ? length(a) < length(b) : (a "") <= (b "") } # beyond what a number of awk holds
    FILENAME == ARGV[1] {
      if ($1 == "#" && $2 == "CA" && $3 == "key") { ca = $5; next }
      if ($1 == "#" && ($2 == "Wildcard" || $2 == "wildcard")) { ca = "*"; next }
      if ($1 == "serial:") { n++; of[n] = ca; split($2, range, "-"); low[n] = range[1]; high[n] = range[2] == "" ? range[1] : range[2] }
      if ($1 == "id:") id[ca, $2] = 1
      if ($1 == "hash:") hash[$2] = 1
      next
    }
    {
      bad = ($5 in hash) || ($6 in hash) || (($5, $7) in id) || (("*", $7) in id)
      for (i = 1; i <= n && !bad; i++) if ((of[i] == $5 || of[i] == "*") && le(low[i], $4) && le($4, high[i])) bad = 1
      if (bad) print $1, $2, $4, $5, $3
    }' "$tmp/listing" "$state/sessions" | while read -r revoked_pid revoked_rest; do
    # What PAM told is the certificate itself, and nobody but root can have written it.
    [ -f "$pam_sessions/$revoked_pid" ] || echo "$revoked_pid $revoked_rest"
  done
  for revoked_file in "$pam_sessions"/*; do
    [ -f "$revoked_file" ] || continue
    grep '^publickey .*-cert-v01@openssh.com ' "$revoked_file" | head -n 1 | sed 's/^publickey //' >"$tmp/shown.pub"
    [ -s "$tmp/shown.pub" ] && ssh-keygen -Q -f "$trust/revoked.krl" "$tmp/shown.pub" 2>/dev/null | grep -q ': REVOKED$' || continue
    ssh-keygen -L -f "$tmp/shown.pub" | awk -v pid="${revoked_file##*/}" -v user="$(field user "$revoked_file")" -v start="$(field time "$revoked_file")" '
      $1 == "Signing" { ca = $4 } $1 == "Serial:" { serial = $2 } END { print pid, start, serial, ca, user }'
  done
}

# end_sessions: of those that were opened with a revoked credential and of no others.
end_sessions() {
  end_mode=$bundle_end_sessions
  [ -n "$bundle_version" ] && [ "$end_mode" != off ] && [ -s "$trust/revoked.krl" ] || return 0
  take_lock log 10 || return 1
  read_logins
  processes >"$tmp/processes"
  revoked_sessions | sort -u -k 1,1 >"$tmp/revoked"
  if [ -s "$tmp/revoked" ]; then
    [ "$end_mode" != on ] || end_trees
    judge_sessions
  fi
  drop_lock log
}

# Tells each one of them once, also in the queue.
judge_sessions() {
  : >"$tmp/items"
  : >"$tmp/cursor"
  [ -f "$state/judged" ] || : >"$state/judged"
  while read -r end_pid end_start end_serial end_ca end_user; do
    end_word=ended
    [ "$end_mode" = on ] || end_word=would-end
    [ "$end_word" = would-end ] || ! kill -0 "$end_pid" 2>/dev/null || end_word=kept
    echo "$end_word $end_pid $end_start $end_serial" >>"$tmp/judged"
    grep -qx "$end_word $end_pid $end_start $end_serial" "$state/judged" && continue
    say "session of $end_user (process $end_pid, certificate $end_serial): $end_word"
    echo "session $(now) $end_word $end_serial $end_ca $end_pid $end_user" >>"$tmp/items"
  done <"$tmp/revoked"
  [ ! -s "$tmp/items" ] || add_items "$tmp/items"
  put "$tmp/judged" "$state/judged" 600
}

# The process of sshd that logged each login, and everything below it. They are stopped until a look finds no new one, so that
# nothing is missed that starts meanwhile; then asked to end, then made to.
end_trees() {
  : >"$tmp/trees"
  # shellcheck disable=SC2034 # it only counts
  for end_try in 1 2 3 4 5; do
    processes >"$tmp/processes"
    below_revoked | sort >"$tmp/found"
    cmp -s "$tmp/found" "$tmp/trees" && break
    mv "$tmp/found" "$tmp/trees"
    signal STOP
  done
  signal TERM
  signal CONT
  # Most are gone at once.
  ! signal 0 || sleep 0.2 2>/dev/null || sleep 1
  ! signal 0 || sleep 1
  signal KILL # a shell may ignore the polite one
  # shellcheck disable=SC2034 # it only counts
  # One that nobody has reaped yet still has its number: no reason to wait for long.
  ! signal 0 || sleep 1
}

# @returns 1 when none of the processes was there
signal() {
  signal_found=1
  while read -r signal_pid; do kill -"$1" "$signal_pid" 2>/dev/null && signal_found=0; done <"$tmp/trees"
  return "$signal_found"
}

below_revoked() {
  awk -v listener="$(listener_pid)" '
    FILENAME == ARGV[1] { if ($1 != listener) top[$1] = 1; next }
    { parent[$1] = $2; if ($4 ~ /sshd/) sshd[$1] = 1 }
    END {
      for (p in parent) {
        q = p
        for (i = 0; i < 64 && (q in parent); i++) { if ((q in top) && (q in sshd)) { print p; break } q = parent[q] }
      }
    }' "$tmp/revoked" "$tmp/processes"
}

# ---- the report of logins ----

# report: sends what is in the queue, some hundreds at a time, until it is empty. What the broker has not confirmed stays.
report() {
  take_lock log 30 || { warn 'another run reads the log already.'; return 0; }
  read_logins
  drop_lock log
  while awk '$1 ~ /^(login|session|alert|gap)$/ { found = 1; exit } END { exit !found }' "$state/queue"; do
    report_some || return
  done
  # Nothing new is news as well, now and then: a silent host and one that saw nothing are not the same.
  greater 600 "$(age_of "$state/reported")" || report_some
}

# age_of FILE: seconds since `keep` wrote the time of then into it; a day when it never did.
age_of() {
  awk -v now="$(now)" "$time_functions"'{ then = seconds($1) } END { printf "%.0f", then ? seconds(now) - then : 86400 }' "$1" 2>/dev/null || echo 86400
}

report_some() {
  {
    begin_request report
    echo "host $(host_id)"
    echo "boot $(field boot "$state/queue")"
    awk '
      $1 == "next" { number = $2 }
      $1 !~ /^(login|session|alert|gap)$/ { next }
      !count { print "seq " $2 }
      (size += length($0) + 1) > 200000 || ++count > 500 { exit }
      { print }
      END { if (!count) print "seq " number }' "$state/queue"
  } >"$tmp/request"
  report_first=$(field seq "$tmp/request")
  ask /v1/hosts/report "$tmp/request" 60 || return
  is_answer || return 1
  report_next=$(field next "$tmp/answer" | head -n 1)
  case $report_next in '' | *[!0-9]* | ????????????????*) report_next=0 ;; esac
  now | keep "$state/reported" 600
  [ "$report_next" != "$report_first" ] || ! grep -Eq '^(login|session|alert|gap) ' "$tmp/request" || report_next=0
  [ "$report_next" != "$report_first" ] || return 0
  greater "$report_next" "$report_first" || { complain 'The broker confirmed nothing of the report.' 'It stays in the queue.'; return 1; }
  take_lock log 30 || return 1
  awk -v next_one="$report_next" '$1 ~ /^(login|session|alert|gap)$/ && $2 + 0 < next_one + 0 { next } { print }' "$state/queue" | keep "$state/queue" 600
  report_kept=$?
  drop_lock log
  return "$report_kept"
}

# ---- the commands ----

# findings: one word for each thing that is wrong, with what it means behind it.
findings() {
  is_own_identity || echo 'copied-machine the identity was made on another machine'
  [ -s "$state/bundle" ] || { echo 'no-bundle there is no trust bundle yet'; return; }
  [ ! -d "$state/change" ] || echo 'halfway a change of the configuration was interrupted'
  if load_bundle 2>/dev/null; then
    ! is_stale || echo "stale the trust bundle was good until $bundle_until"
    cmp -s "$tmp/parts/revoked.krl" "$trust/revoked.krl" || { load_list "$trust/revoked.krl" 2>/dev/null && echo 'other-list the revocation list is not the one of the bundle'; } || echo 'bad-list the revocation list does not load: sshd refuses every key'
    cmp -s "$tmp/parts/userca" "$trust/user_ca.pub" || is_stale || echo 'other-trust the trusted keys are not those of the bundle'
  else
    echo 'bad-bundle the accepted bundle is damaged'
  fi
  is_in_force || echo "not-in-force $(tail -n 1 "$tmp/error")"
  overriding >"$tmp/overriding"
  [ ! -s "$tmp/overriding" ] || echo "overridden a Match block sets $(tr '\n' ' ' <"$tmp/overriding")itself"
  host_keys >"$tmp/host-keys"
  while IFS= read -r findings_key; do
    [ -s "$trust/${findings_key##*/}-cert.pub" ] || { echo "no-certificate $findings_key has no host certificate"; break; }
  done <"$tmp/host-keys"
}

# What sshd would take from a Match block instead of from us, for some people.
overriding() {
  for over_file in "$sshd_config" "$dropin_folder"/*.conf; do
    [ -f "$over_file" ] && [ "$over_file" != "$dropin" ] && awk '
      { word = tolower($1) } word ~ /^match/ { inside = 1 }
      inside && word ~ /^(trustedusercakeys|revokedkeys|authorizedprincipalsfile|authorizedprincipalscommand)$/ { print $1 }' "$over_file"
  done | sort -u
}

# sync_once WAIT: one question to the broker, and what follows from its answer. Before it, everything is looked after; only right after
# news (`just_heard`) what was seen before them is told once more, so that this host hears again at once.
sync_once() {
  take_lock work 30 || { warn 'another run is changing things.'; return 3; }
  recover
  settle
  sync_settled=$?
  if [ "$just_heard" = no ]; then
    warn_of_age
    [ "$sync_settled" != 0 ] || renew
    findings >"$tmp/findings"
    sync_sshd=$(openssh_version)
  fi
  sync_step=0
  ! [ -f "$state/step" ] || read -r sync_step <"$state/step"
  sync_step=$((sync_step + 1))
  echo "$sync_step" >"$tmp/step" && put "$tmp/step" "$state/step" 600
  sync_kept=$?
  drop_lock work
  [ "$sync_kept" = 0 ] || return 1
  sync_request "$1" >"$tmp/request"
  just_heard=no
  ask /v1/hosts/sync "$tmp/request" $(($1 + 60)) || return
  if [ "$status" = 200 ] && [ -s "$tmp/answer" ]; then
    take_lock work 30 || return 3
    take_news
    sync_taken=$?
    drop_lock work
    [ "$sync_taken" = 0 ] || return 1
    say "trust bundle $bundle_version is in force"
    # What was wrong before may be right now: then everything is looked after.
    [ -s "$tmp/findings" ] || just_heard=yes
  else
    end_sessions
  fi
}

sync_request() {
  begin_request sync
  printf 'host %s\nmachine %s\nhave %s\nstep %s\nwait %s\n' "$(host_id)" "$own_machine" "${bundle_version:-0}" "$sync_step" "$1"
  if [ -s "$tmp/findings" ]; then awk '{ print "check " $1 }' "$tmp/findings"; else echo 'check ok'; fi
  if [ "$sync_settled" = 0 ]; then echo "installed ${bundle_version:-0}"; else echo 'installed 0'; fi
  echo "sshd $sync_sshd"
  [ ! -s "$state/queue" ] || field last "$state/queue" | sed 's/^/last-login /'
}

# Under the lock. The list first, then those who are inside, then the rest: nobody waits for a reload of sshd.
take_news() {
  accept_bundle "$tmp/answer" && enforce || return 1
  if [ "$loop" = yes ]; then
    end_sessions_aside
  else
    end_sessions
    # Once more in a moment, by a process of its own: the line of a login just before may not be in the log yet.
    [ "$bundle_end_sessions" = off ] || { trap - EXIT INT TERM HUP; sleep 3 && [ -d "$state" ] && exec sh "$program" end-sessions; } >/dev/null 2>&1 &
  fi
  # Before the first install is through, sshd is not told yet.
  effective_known=no
  [ -z "$(field way "$home/config")" ] || configure || return 1
  reload_sshd
}

# The loop does not wait until they have ended: the next news may be there. Now, and as above once more.
end_sessions_aside() {
  [ "$bundle_end_sessions" != off ] || return 0
  {
    trap - EXIT INT TERM HUP
    sh "$program" end-sessions
    sleep 3 && [ -d "$state" ] && exec sh "$program" end-sessions
  } >/dev/null 2>&1 &
}

warn_of_age() {
  [ -n "$bundle_version" ] && is_stale || return 0
  if [ "$bundle_when_stale" = close ]; then
    alarm "the trust bundle is out of date since $bundle_until; as this group wants it, nobody logs in by certificate until the broker is heard again."
  else
    alarm "the trust bundle is out of date since $bundle_until; logins go on with what was known then."
  fi
}

# Without an identity of its own a machine asks to be taken in: a new one, an image's copy, one that waits for an admin.
enrol_if_needed() {
  is_own_identity && [ -n "$(host_id)" ] && return 0
  if [ -s "$home/identity" ] && ! is_own_identity; then
    if [ ! -s "$home/token" ] && [ -z "${token:-}" ]; then
      complain 'This machine is a copy of another one: its identity was made there and is not used here.' "Put a token into $home/token or run install --token T; make new host keys first (rm $ssh_folder/ssh_host_*; ssh-keygen -A)."
      return 1
    fi
    # The trust of sshd stays as it is until the first bundle of our own.
    rm -f "$home/identity" "$home/identity.pub" "$state/machine" "$state/bundle" "$state/step" "$state/queue" "$state/sessions" "$trust"/*-cert.pub
    set_config host '' || return 1
    : >"$state/reload"
  fi
  [ -s "$home/identity" ] || make_identity || return 1
  enrol "${token:-$(cat "$home/token" 2>/dev/null)}" "$(field names "$home/config")" "$(field addresses "$home/config")"
}

# finish_install: from enrolled to in force. Also what a run after an admin's approval does.
finish_install() {
  [ -s "$state/bundle" ] || sync_once 0 || return
  [ -s "$state/bundle" ] || { complain 'The broker has no trust bundle for this host yet.' 'The next run asks again.'; return 3; }
  take_lock work 30 || return 3
  recover && settle && renew && configure && reload_sshd
  finish_done=$?
  just_heard=no
  drop_lock work
  return "$finish_done"
}

sync_command() {
  wait_seconds=0
  while [ $# -gt 0 ]; do
    case $1 in
      --loop) loop=yes wait_seconds=300 ;;
      --wait) wait_seconds=${2:-}; shift ;;
      *) usage ;;
    esac
    shift
  done
  case $wait_seconds in '' | *[!0-9]* | ????*) usage ;; esac
  [ -f "$home/config" ] || die 1 'This machine is not installed.' 'Run install first.'
  take_lock poll 0 || { say 'another run waits for news already.'; exit 0; }
  pause=5 heard=0
  while :; do
    # However often there is news, everything is looked after now and then.
    [ "$heard" -lt 5 ] || just_heard=no
    if [ "$just_heard" = yes ]; then
      heard=$((heard + 1))
      sync_once "$wait_seconds"
    else
      heard=0
      sync_round
    fi
    sync_exit=$?
    [ "$loop" = yes ] || exit "$sync_exit"
    if [ "$sync_exit" = 0 ]; then
      pause=5
    else
      rest $((pause + $$ % 5))
      pause=$((pause < 150 ? pause * 2 : 300))
    fi
  done
}

# A sleep that a signal ends at once.
rest() {
  sleep "$1" &
  waiting_for=$!
  wait "$waiting_for"
  waiting_for=''
}

sync_round() {
  take_lock work 30 || return 3
  recover
  enrol_if_needed
  round_enrolled=$?
  drop_lock work
  [ "$round_enrolled" = 0 ] || return "$round_enrolled"
  [ -n "$(field way "$home/config")" ] || { finish_install; return; }
  sync_once "$wait_seconds"
}

check_command() {
  [ $# = 0 ] || usage
  [ -f "$home/config" ] || die 1 'This machine is not installed.' 'Run install first.'
  findings >"$tmp/findings" 2>/dev/null
  say "host $(host_id) of group $(field group "$home/config"), broker $(field broker "$home/config")"
  load_bundle 2>/dev/null && say "trust bundle $bundle_version, good until $bundle_until"
  [ -s "$tmp/findings" ] || { say 'everything is in force.'; exit 0; }
  while read -r check_word check_text; do warn "WRONG $check_word: $check_text"; done <"$tmp/findings"
  ! grep -q '^stale ' "$tmp/findings" || alarm 'the trust bundle is out of date.'
  exit 1
}

# sessions_command: ends what is to be ended now, by the bundle that is here.
sessions_command() {
  [ $# = 0 ] || usage
  is_own_identity && load_bundle && end_sessions
}

report_command() {
  case ${1:-} in
    '') report; exit ;;
    --loop) ;;
    *) usage ;;
  esac
  take_lock reporter 0 || { say 'another run reports already.'; exit 0; }
  while :; do
    forget
    ! { is_own_identity && load_bundle; } || { end_sessions; report; }
    rest 15
  done
}

# alert_command SOURCE TEXT…: what another watchman on this host has to say goes into the next report.
alert_command() {
  [ $# -ge 2 ] || usage
  alert_source=$1
  shift
  case $alert_source in
    '' | -* | *[!a-z0-9-]*) die 2 "'$alert_source' cannot be a source." 'Use lower-case letters, digits and hyphens, e.g. fail2ban.' ;;
  esac
  [ "${#alert_source}" -le 32 ] || die 2 'The source is too long.' 'Use at most 32 characters.'
  alert_text=$(printf '%s' "$*" | tr -c ' -~' '?' | cut -c 1-1000)
  [ -n "$alert_text" ] || usage
  take_lock log 30 || die 1 'Another run reads the log for too long.' 'Try again.'
  start_queue && printf 'alert %s %s %s\n' "$(now)" "$alert_source" "$alert_text" >"$tmp/items" && : >"$tmp/cursor" && add_items "$tmp/items"
  alert_kept=$?
  drop_lock log
  [ "$alert_kept" = 0 ] || die 1 'Could not keep the alert.' 'Look whether the disk is full.'
}

install_command() {
  token='' names='' addresses='' broker='' ca='' bundle_key='' units=yes pam=no log=''
  while [ $# -gt 0 ]; do
    case $1 in
      --no-units) units=no; shift; continue ;;
      --take-over) take_over=yes; shift; continue ;;
      --pam) pam=yes; shift; continue ;;
    esac
    [ $# -ge 2 ] || usage
    case $1 in
      --token) token=$2 ;;
      --token-file) token=$(cat "$2") || die 2 "Could not read $2." ;;
      --name) names="$names $2" ;;
      --address) addresses="$addresses $2" ;;
      --broker) broker=$2 ;;
      --ca) ca=$2 ;;
      --bundle-key) bundle_key=$2 ;;
      --log) log=$2 ;;
      *) usage ;;
    esac
    shift 2
  done
  case $token in *[!A-Za-z0-9._~-]*) die 2 'This is no token.' 'A token has letters, digits and . _ ~ - only.' ;; esac
  take_lock work 30 || die 1 'Another run is changing things.' 'Try again in a minute.'
  recover
  [ -f "$sshd_config" ] || die 1 "There is no $sshd_config." 'Install the OpenSSH server first.'
  [ -n "$(field way "$home/config")" ] || refuse_foreign || exit 1
  write_settings || exit 1
  enrol_if_needed
  installed=$?
  drop_lock work
  if [ "$installed" = 0 ]; then
    finish_install
    installed=$?
  fi
  if [ "$installed" = 1 ]; then
    complain 'The installation is not finished.' 'Mend what was said above and run it again; or take it away with uninstall.'
    exit 1
  fi
  [ "$pam" = no ] || install_pam || exit 1
  [ "$units" = no ] || install_units
  [ "$installed" = 0 ] && say 'sshd follows the broker now.'
  exit "$installed"
}

# What this run was told, over what the broker wrote into the script, over what is there already.
write_settings() {
  [ -n "$broker" ] || broker=$broker_url
  if [ -n "$broker" ]; then
    case $broker in https://*[!A-Za-z0-9.:/_\[\]-]* | http://*) die 2 'The address of the broker must begin with https://.' ;; https://*) ;; *) die 2 'The address of the broker must begin with https://.' ;; esac
    set_config broker "${broker%/}" || return 1
  fi
  [ -n "$(field broker "$home/config")" ] || die 2 'No broker is named.' 'Take the script from your broker, or name it with --broker and --ca.'
  if [ -n "$ca" ]; then put "$ca" "$home/broker-ca.pem" 644 || return 1
  elif [ -n "$broker_ca_pem" ]; then printf '%s\n' "$broker_ca_pem" | keep "$home/broker-ca.pem" 644 || return 1; fi
  if [ ! -s "$home/bundle.pub" ]; then
    if [ -n "$bundle_key" ]; then put "$bundle_key" "$home/bundle.pub" 644 || return 1
    elif [ -n "$broker_bundle_key" ]; then printf '%s\n' "$broker_bundle_key" | keep "$home/bundle.pub" 644 || return 1; fi
  fi
  [ -z "$log" ] || set_config log "$log" || return 1
  [ -n "$names" ] || names=$(field names "$home/config")
  [ -n "$names" ] || names=$(hostname -f 2>/dev/null || uname -n)
  set_config names "$(printf '%s' "$names" | tr '[:upper:]' '[:lower:]' | sed 's/^ *//')" || return 1
  [ -z "$addresses" ] || set_config addresses "${addresses# }" || return 1
  [ "${take_over:-no}" = no ] || set_config principals-file none || return 1
  place_program
}

# The script itself, for the service: from the file that runs, or, when it came through a pipe, once more from the broker.
place_program() {
  if [ -f "$0" ] && [ "$(sed -n 2p "$0" | cut -c 1-16)" = '# sallyport-host:' ]; then
    put "$0" "$program" 755
  else
    send /v1/hosts/enrol.sh 60 && sed -n 2p "$tmp/answer" | grep -q '^# sallyport-host:' && [ "$(tail -n 1 "$tmp/answer")" = 'main "$@"' ] && put "$tmp/answer" "$program" 755
  fi
}

# uninstall: everything is as it was before the first install, to the byte where nobody else has changed it since.
uninstall_command() {
  [ $# = 0 ] || usage
  remove_units
  take_lock work 30 || die 1 'Another run is changing things.' 'Try again in a minute.'
  recover
  take_lock log 10 || die 1 'Another run reads the log.' 'Try again in a minute.'
  remove_pam || exit 1
  uninstall_way=$(field way "$home/config")
  rm -f "$dropin"
  case $(head -n 1 "$sshd_config" 2>/dev/null) in
    '# >>> sallyport-host'*)
      others_part >"$tmp/others" || exit 1
      if cmp -s "$tmp/others" "$state/sshd_config.orig"; then
        # With the times that it had.
        cp -p "$state/sshd_config.orig" "$sshd_config.new.$$" && mv -f "$sshd_config.new.$$" "$sshd_config" || exit 1
      else
        rewrite "$tmp/others" || exit 1
        say 'sshd_config was changed by others since: only our lines were taken out.'
      fi
      ;;
  esac
  [ -z "$uninstall_way" ] || : >"$state/reload"
  # The files go last: until sshd is reloaded it reads them at each login.
  reload_sshd || exit 1
  rm -rf "$trust" "$root/run/sallyport"
  cd / && { rm -rf "$home" || rm -rf "$home"; }
  say 'taken away. Retire the host at the broker too: sallyport host retire.'
  exit 0
}

# ---- PAM: optional, on Linux. The hook keeps what sshd says about each login, in a file that only root can write ----

pam_file() { echo "$root/etc/pam.d/sshd"; }

install_pam() {
  [ -f "$(pam_file)" ] || { complain "There is no $(pam_file)." 'Run install without --pam: sessions are then found by the log of sshd.'; return 1; }
  keep "$home/pam-session" 755 <<PAM
#!/bin/sh
# Called by pam_exec in the process of sshd that holds the login. Never refuses anybody.
umask 077
case \$PAM_TYPE in
  open_session)
    mkdir -p '$pam_sessions'
    now=\$(date -u +%Y-%m-%dT%H:%M:%SZ)
    { echo "user \$PAM_USER"; echo "time \$now"; printf '%s\n' "\$SSH_AUTH_INFO_0"; } >'$pam_sessions/.'\$PPID && mv '$pam_sessions/.'\$PPID '$pam_sessions/'\$PPID
    mkdir -p '$pam_logins'
    cd '$pam_logins' || exit 0
    # Nobody reads them: then they must not fill the memory of the machine.
    set -- login.*
    [ \$# -lt 2000 ] || { : >full; exit 0; }
    set -- \$SSH_CONNECTION
    { echo "user \$PAM_USER"; echo "time \$now"; echo "pid \$PPID"; echo "address \${1:-\$PAM_RHOST}"; echo "port \${2:-0}"; echo methods; printf '%s\n' "\$SSH_AUTH_INFO_0"; } >.\$\$ && mv .\$\$ "login.\$now.\$PPID.\$\$"
    ;;
  close_session) rm -f '$pam_sessions/'\$PPID ;;
esac
exit 0
PAM
  ! grep -q "$home/pam-session" "$(pam_file)" || return 0
  cp -p "$(pam_file)" "$state/pam.orig" || return 1
  cp -p "$(pam_file)" "$(pam_file).new.$$" && echo "session optional pam_exec.so quiet $home/pam-session" >>"$(pam_file).new.$$" && mv -f "$(pam_file).new.$$" "$(pam_file)"
}

remove_pam() {
  grep -q "$home/pam-session" "$(pam_file)" 2>/dev/null || return 0
  cp -p "$(pam_file)" "$(pam_file).new.$$" && grep -v "$home/pam-session" "$(pam_file)" >"$(pam_file).new.$$"
  ! cmp -s "$(pam_file).new.$$" "$state/pam.orig" || cp -p "$state/pam.orig" "$(pam_file).new.$$"
  mv -f "$(pam_file).new.$$" "$(pam_file)"
}

# ---- the service ----

install_units() {
  if [ "$platform" = linux ] && [ -d "$root/run/systemd/system" ] && command -v systemctl >/dev/null 2>&1; then
    units_changed=no
    for units_name in sallyport-host.service sallyport-host-report.service; do
      unit_text "$units_name" | cmp -s - "$root/etc/systemd/system/$units_name" && continue
      unit_text "$units_name" | keep "$root/etc/systemd/system/$units_name" 644 || return 1
      units_changed=yes
    done
    [ -z "$root" ] || return 0
    [ "$units_changed" = no ] || systemctl daemon-reload
    systemctl enable -q --now sallyport-host.service sallyport-host-report.service
  elif [ "$platform" = linux ] && [ -d "$root/etc/cron.d" ]; then
    unit_text sallyport-host.cron | keep "$root/etc/cron.d/sallyport-host" 644
  else
    # shellcheck disable=SC2016 # the name of a command
    say 'This machine has neither systemd nor /etc/cron.d. Start it yourself; `sallyport-host units` shows how.'
  fi
}

remove_units() {
  if [ -z "$root" ] && command -v systemctl >/dev/null 2>&1 && [ -f /etc/systemd/system/sallyport-host.service ]; then
    systemctl disable -q --now sallyport-host.service sallyport-host-report.service 2>/dev/null
  fi
  rm -f "$root/etc/systemd/system/sallyport-host.service" "$root/etc/systemd/system/sallyport-host-report.service" "$root/etc/cron.d/sallyport-host"
  [ -n "$root" ] || ! [ -d /run/systemd/system ] || systemctl daemon-reload 2>/dev/null || :
}

# unit_text NAME: the same text as host/units/NAME.
unit_text() {
  case $1 in
    sallyport-host.service)
      cat <<'UNIT'
# systemd: waits for news of the broker all the time. Put into /etc/systemd/system by `sallyport-host install`.
[Unit]
Description=Sallyport: trust of sshd, as the broker signed it
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/bin/sh /etc/sallyport/sallyport-host sync --loop
Restart=always
RestartSec=10
NoNewPrivileges=yes
ProtectHome=read-only
ProtectSystem=full
ReadWritePaths=/etc/ssh /etc/sallyport
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
UNIT
      ;;
    sallyport-host-report.service)
      cat <<'UNIT'
# systemd: sends the logins that sshd logged. Put into /etc/systemd/system by `sallyport-host install`.
[Unit]
Description=Sallyport: report of logins
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/bin/sh /etc/sallyport/sallyport-host login-report --loop
Restart=always
RestartSec=10
NoNewPrivileges=yes
ProtectHome=read-only
ProtectSystem=full
ReadWritePaths=/etc/sallyport
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
UNIT
      ;;
    sallyport-host.cron)
      cat <<'UNIT'
# cron: where there is no systemd. /etc/cron.d/sallyport-host; in a crontab of root leave the word root away.
* * * * * root /bin/sh /etc/sallyport/sallyport-host sync --wait 50 >/dev/null 2>&1
* * * * * root /bin/sh /etc/sallyport/sallyport-host login-report >/dev/null 2>&1
UNIT
      ;;
    aix.txt)
      cat <<'UNIT'
AIX. Never tried on a real AIX machine.

With the System Resource Controller, as root:

  mkssys -s sallyport -p /usr/bin/sh -a "/etc/sallyport/sallyport-host sync --loop" -u 0 -S -n 15 -f 9 -R -G sallyport
  mkssys -s sallyportrep -p /usr/bin/sh -a "/etc/sallyport/sallyport-host login-report --loop" -u 0 -S -n 15 -f 9 -R -G sallyport
  startsrc -g sallyport
  mkitab "sallyport:2:once:/usr/bin/startsrc -g sallyport >/dev/console 2>&1"

Without it, two lines of /etc/inittab (mkitab "LINE" for each, then telinit q):

  sallyport:2:respawn:/usr/bin/sh /etc/sallyport/sallyport-host sync --loop >/dev/null 2>&1
  sallyrep:2:respawn:/usr/bin/sh /etc/sallyport/sallyport-host login-report --loop >/dev/null 2>&1

To take it away: stopsrc -g sallyport; rmssys -s sallyport; rmssys -s sallyportrep; rmitab sallyport; rmitab sallyrep

sshd logs to where /etc/syslog.conf sends auth.info; name that file: sallyport-host install --log "file /var/adm/authlog"
UNIT
      ;;
    ibmi.txt)
      cat <<'UNIT'
IBM i (PASE). Never tried on a real IBM i machine.

As QSECOFR, or a profile with *ALLOBJ and *JOBCTL, from a CL command line. One question to the broker every hour is too seldom
for revocation: the job below asks, waits for news and asks again, and the job scheduler starts it again when it has ended.

  SBMJOB CMD(QSH CMD('/QOpenSys/usr/bin/sh /etc/sallyport/sallyport-host sync --loop')) JOB(SALLYPORT) JOBQ(QSYSNOMAX) USER(QSECOFR)
  SBMJOB CMD(QSH CMD('/QOpenSys/usr/bin/sh /etc/sallyport/sallyport-host login-report --loop')) JOB(SALLYREP) JOBQ(QSYSNOMAX) USER(QSECOFR)

  ADDJOBSCDE JOB(SALLYPORT) CMD(QSH CMD('/QOpenSys/usr/bin/sh /etc/sallyport/sallyport-host sync --loop')) FRQ(*WEEKLY) SCDDATE(*NONE) SCDDAY(*ALL) SCDTIME(000500) USER(QSECOFR) JOBQ(QSYSNOMAX)
  ADDJOBSCDE JOB(SALLYREP) CMD(QSH CMD('/QOpenSys/usr/bin/sh /etc/sallyport/sallyport-host login-report --loop')) FRQ(*WEEKLY) SCDDATE(*NONE) SCDDAY(*ALL) SCDTIME(001000) USER(QSECOFR) JOBQ(QSYSNOMAX)

A second one that finds the first at work ends at once, so that the daily entries do no harm. Put the two SBMJOB lines into the
start-up program too, after STRTCPSVR SERVER(*SSHD).

The script needs curl (yum package), and an OpenSSH with ssh-keygen -Y (8.1): look with ssh -V.
UNIT
      ;;
  esac
}

usage() {
  cat >&2 <<'USAGE'
usage: sallyport-host install [--token T | --token-file FILE] [--name FQDN]… [--address IP]… [--take-over] [--pam]
                              [--log journal|'file PATH'|pam] [--no-units] [--broker URL --ca FILE --bundle-key FILE]
       sallyport-host sync [--loop | --wait SECONDS]
       sallyport-host check
       sallyport-host login-report [--loop]
       sallyport-host end-sessions
       sallyport-host alert SOURCE TEXT…   what fail2ban or another watchman has to say goes into the next report
       sallyport-host uninstall
       sallyport-host units             what starts it on systems without systemd, as text
USAGE
  exit 2
}

main() {
  settings
  case ${1:-help} in
    -h | --help) set -- help ;;
    -*) set -- install "$@" ;;
  esac
  command=${1:-help}
  [ $# = 0 ] || shift
  case $command in
    install | sync | check | login-report | end-sessions | alert | uninstall) begin ;;
    units) unit_text sallyport-host.cron; unit_text aix.txt; unit_text ibmi.txt; exit 0 ;;
    *) usage ;;
  esac
  case $command in
    install) install_command "$@" ;;
    sync) sync_command "$@" ;;
    check) check_command "$@" ;;
    login-report) report_command "$@" ;;
    end-sessions) sessions_command "$@" ;;
    alert) alert_command "$@" ;;
    uninstall) uninstall_command "$@" ;;
  esac
}

main "$@"
