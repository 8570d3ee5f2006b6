# A shell on a host of the lab: the last word, whatever the machine's own files say of engines and proxies.
for name in $(env | sed -nE 's/^(@LEADS_OUT@)=.*/\1/p'); do unset "$name"; done
unset name
unset -f docker netkit
unalias docker netkit 2>/dev/null || true
case $PATH in @BIN@:*) ;; *) PATH=@BIN@:$PATH ;; esac
export PATH container=docker DOCKER_CONFIG=@DOCKER_CONFIG@
HISTFILE=
[ -z "${BASH_VERSION:-}" ] || PS1='\[\e[1;32m\]\u@\h\[\e[0m\]:\w\$ '
