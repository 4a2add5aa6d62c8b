#!/bin/sh
# Wazuh active response: tells the broker of an alert on this enrolled host: an entry `host.alert` in the accounting log.
# Install on the agent as /var/ossec/active-response/bin/sallyport.sh, owner root, group wazuh, mode 750; on the manager, in ossec.conf:
#
#   <command><name>sallyport</name><executable>sallyport.sh</executable><timeout_allowed>no</timeout_allowed></command>
#   <active-response><command>sallyport</command><location>local</location><level>10</level></active-response>
#
# Never tried with a real Wazuh: written after its documentation, and tested with a message of that form.

# The message is one line of JSON on standard input. Only the number and the words of the rule are taken; no tool for JSON is needed.
read -r message || [ -n "$message" ] || exit 1
LC_ALL=C
export LC_ALL
value() { printf '%s' "$message" | sed -n "s/.*\"rule\":{[^}]*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" | tr -c ' -~' '?' | cut -c 1-400; }
rule=$(value id)
words=$(value description)
exec /bin/sh "${SALLYPORT_HOST:-/etc/sallyport/sallyport-host}" alert wazuh "rule ${rule:-unknown}: ${words:-no description}"
