#!/usr/bin/env bash
# A real Ganeti cluster on one machine: virtual nodes, the fake hypervisor, real daemons, job queue and remote API.
#
#   ganeti-cluster.sh run COMMAND [ARGUMENT]…   starts it, runs the command inside, takes it away, ends with its exit code
#   ganeti-cluster.sh hold                      prints "holder PID" and, once it is up, "ready"; ends with its input
#
# Everything lives in namespaces of its own (processes, mounts, network, host name) below one process: when that ends,
# however it ends, the kernel takes daemons, addresses, mounts and files away with it. Nothing outside is written, no
# port of the machine is used, and any number of clusters may run beside each other.
#
# Inside: RAPI at https://192.0.2.10:5080, its certificate in /srv/rapi-ca.pem, the users of it as USER:PASSWORD in
# /srv/reader (read) and /srv/balancer (write), the job queue in /srv/cluster/node1/var/lib/ganeti/queue, and
# /srv/cluster/node1/cmd in front of a command runs it on the master. Instances stand on the first two nodes.
# From outside only a process that enters the namespaces of the holder reaches it:
#   nsenter --net=/proc/PID/ns/net COMMAND      with the cluster's network and the machine's files
#   nsenter --target PID --net --mount --uts --ipc --pid=/proc/PID/ns/pid_for_children COMMAND      as `run` does
#
# MOVECAST_GANETI_NODES (4) and MOVECAST_GANETI_INSTANCES (10) say how large it is.
# Debian 12, root, and: apt-get install --no-install-recommends ganeti ganeti-3.0 openssh-server fping socat iproute2 curl
set -euo pipefail

readonly nodes=${MOVECAST_GANETI_NODES:-4} instances=${MOVECAST_GANETI_INSTANCES:-10}
readonly cluster=/srv/cluster address=https://192.0.2.10:5080

fail() {
  echo "ganeti-cluster: $1" >&2
  exit 1
}

on_master() { "$cluster/node1/cmd" "$@"; }

# Runs a command; what it says is shown only when it fails.
quietly() {
  local said
  said=$("$@" 2>&1) || fail "$* failed: $said"
}

# --- inside the namespaces, as their first process -------------------------------------------------------------------

# Ganeti writes to the host's /run, root's home and /etc/hosts, and counts the host's memory and processors: all of these
# are private here, and the figures fixed, so that the same placement has the same score every time.
private_places() {
  local node mib=$((16 * 1024)) used=$((1 * 1024))
  mount -t tmpfs -o mode=755 srv /srv
  mount -t tmpfs -o mode=755 run /run
  mkdir -p /run/sshd /run/lock /srv/home/.ssh /srv/ganeti/file-storage /srv/ganeti/shared-file-storage "$cluster"
  {
    echo '127.0.0.1 localhost vhost'
    echo '192.0.2.1 cluster'
    for ((node = 1; node <= nodes; node++)); do echo "192.0.2.$((9 + node)) node$node"; done
  } >/srv/hosts
  sed 's#^\(root:[^:]*:[^:]*:[^:]*:[^:]*\):[^:]*:#\1:/srv/home:#' /etc/passwd >/srv/passwd
  printf '%s: %s kB\n' MemTotal $((mib * 1024)) Active $((used * 1024)) MemFree $(((mib - used) * 1024)) Buffers 0 Cached 0 \
    SwapTotal 0 SwapFree 0 >/srv/meminfo
  for node in 0 1 2 3 4 5 6 7; do printf 'processor\t: %s\n\n' $node; done >/srv/cpuinfo
  mount --bind /srv/hosts /etc/hosts
  mount --bind /srv/passwd /etc/passwd
  mount --bind /srv/meminfo /proc/meminfo
  mount --bind /srv/cpuinfo /proc/cpuinfo
  hostname vhost
  ip link set lo up
  for ((node = 1; node <= nodes; node++)); do ip addr add "192.0.2.$((9 + node))/32" dev lo; done
}

# `gnt-node add` comes as root over SSH. The server and the key exist only in here.
ssh_between_nodes() {
  local node
  ssh-keygen -q -t rsa -N '' -f /srv/home/.ssh/id_rsa
  cp /srv/home/.ssh/id_rsa.pub /srv/home/.ssh/authorized_keys
  ssh-keygen -q -t rsa -N '' -f /srv/home/host_key
  {
    for ((node = 1; node <= nodes; node++)); do echo "ListenAddress 192.0.2.$((9 + node))"; done
    printf '%s\n' 'HostKey /srv/home/host_key' 'PermitRootLogin yes' 'PubkeyAuthentication yes' 'UsePAM no' \
      'StrictModes no' 'PidFile /run/sshd.pid'
  } >/srv/home/sshd_config
  /usr/sbin/sshd -f /srv/home/sshd_config
}

# An operating system whose scripts do nothing: the fake hypervisor runs no guests.
dummy_system() {
  local script
  mkdir -p /srv/ganeti/os/dummy
  echo 20 >/srv/ganeti/os/dummy/ganeti_api_version
  echo default >/srv/ganeti/os/dummy/variants.list
  : >/srv/ganeti/os/dummy/parameters.list
  for script in create import export rename verify; do
    printf '#!/bin/sh\nexit 0\n' >"/srv/ganeti/os/dummy/$script"
    chmod +x "/srv/ganeti/os/dummy/$script"
  done
}

start_cluster() {
  local node users="$cluster/node1/var/lib/ganeti/rapi/users"
  quietly /usr/lib/ganeti/tools/vcluster-setup -E -N -c "$nodes" -i 1 "$cluster"
  for ((node = 1; node <= nodes; node++)); do
    printf '%s\n' /srv/ganeti/file-storage /srv/ganeti/shared-file-storage \
      >"$cluster/node$node/etc/ganeti/file-storage-paths"
  done
  quietly on_master gnt-cluster init --no-etc-hosts --no-ssh-init --master-netdev=lo \
    --enabled-disk-templates=sharedfile,diskless --enabled-hypervisors=fake \
    --file-storage-dir=/srv/ganeti/file-storage --shared-file-storage-dir=/srv/ganeti/shared-file-storage \
    --ipolicy-bounds-specs=min:disk-size=0,cpu-count=1,disk-count=0,memory-size=1,nic-count=0,spindle-use=0/max:disk-size=1048576,cpu-count=8,disk-count=16,memory-size=32768,nic-count=8,spindle-use=12 \
    cluster
  for ((node = 2; node <= nodes; node++)); do quietly on_master gnt-node add --no-ssh-key-check "node$node"; done
  # Written with its owner and rights and moved into place: the daemon reads it the moment it changes.
  install -m 640 -o gnt-rapi -g gnt-masterd /dev/null "$users.new"
  printf '%s\n' 'reader readpw read' 'balancer writepw write' >"$users.new"
  mv "$users.new" "$users"
  (umask 077 && echo reader:readpw >/srv/reader && echo balancer:writepw >/srv/balancer)
  openssl x509 -in "$cluster/node1/var/lib/ganeti/rapi.pem" -out /srv/rapi-ca.pem
}

# All on the first two nodes, so that there is something to balance.
create_instances() {
  local i memory=(512 1024 2048 256 4096 512 1024 2048 768 1536)
  for ((i = 1; i <= instances; i++)); do
    printf '{"mode":"create","instance_name":"instance%s","disk_template":"sharedfile","disks":[{"size":%s}],"nics":[],' \
      $i $((8 * (1 + i % 3)))
    printf '"os_type":"dummy+default","pnode":"node%s","beparams":{"maxmem":%s,"minmem":%s,"vcpus":%s},' \
      $((1 + i % 2)) "${memory[i % 10]}" "${memory[i % 10]}" $((1 + i % 2))
    printf '"name_check":false,"ip_check":false,"hypervisor":"fake","__version__":1}\n'
  done >/srv/instances
  : >/srv/jobs
  local request
  while read -r request; do
    curl -sS --fail-with-body --cacert /srv/rapi-ca.pem --connect-to "::192.0.2.10:" -k -u balancer:writepw \
      -H 'content-type: application/json' -d "$request" "$address/2/instances" >>/srv/jobs || fail "$(cat /srv/jobs)"
  done </srv/instances
  local job
  while read -r job; do quietly on_master gnt-job wait "$job"; done < <(tr -d '"' </srv/jobs)
}

inside() {
  # A first process dies of no signal that it does not handle.
  trap 'exit 143' TERM
  trap 'exit 130' INT
  private_places
  ssh_between_nodes
  dummy_system
  start_cluster
  create_instances
  case $1 in
    hold)
      echo ready
      exec 3<&0
      cat <&3 >/dev/null & # in the background, so that a signal is seen at once
      wait $!
      ;;
    run) shift && "$@" ;;
  esac
}

# --- outside ----------------------------------------------------------------------------------------------------------

if [ "${1:-}" = --inside ]; then
  shift
  inside "$@" # a failure ends the script here, with its exit code
  exit
fi
case ${1:-} in
  hold) ;;
  run) [ $# -gt 1 ] || fail 'run needs a command' ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 2 ;;
esac
[ "$(id -u)" = 0 ] || fail 'needs root: it makes namespaces'
for program in gnt-cluster /usr/lib/ganeti/tools/vcluster-setup /usr/sbin/sshd fping ip curl; do
  command -v "$program" >/dev/null || fail "$program is not installed: apt-get install --no-install-recommends ganeti ganeti-3.0 openssh-server fping socat iproute2 curl"
done
# unshare heeds no signal, so this script does, and unshare dies with it whatever becomes of it, its processes with that.
exec 3<&0
setpriv --pdeathsig KILL unshare --net --mount --uts --ipc --pid --fork --kill-child --mount-proc \
  bash "$0" --inside "$@" <&3 3<&- &
readonly holder=$!
trap 'kill -KILL $holder; exit 143' TERM HUP
trap 'kill -KILL $holder; exit 130' INT
[ "$1" = run ] || echo "holder $holder"
wait $holder
