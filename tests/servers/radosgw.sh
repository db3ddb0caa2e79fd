#!/bin/bash
# A whole S3 server on this machine: one monitor, one object daemon that keeps its data in memory, one gateway.
# usage: radosgw.sh DIRECTORY GATEWAY_PORT MONITOR_PORT ACCESS_KEY SECRET_KEY
# In the environment: RADOSGW_SETTINGS has more lines for the gateway's section of the configuration; with RADOSGW_RESTART=1 a gateway that
# crashes, as some requests make it do, is started again.
# Writes DIRECTORY/ready once requests are answered, and stays until it is killed with its process group.
set -euo pipefail
directory=$1 gateway_port=$2 monitor_port=$3 access_key=$4 secret_key=$5
mkdir -p "$directory"/{mon,osd,rgw,run,log}
cluster=$(cat /proc/sys/kernel/random/uuid)
keyring=$directory/keyring
export CEPH_CONF=$directory/ceph.conf
cat > "$CEPH_CONF" <<CONF
[global]
fsid = $cluster
keyring = $keyring
mon initial members = a
mon host = v2:127.0.0.1:$monitor_port
public network = 127.0.0.0/8
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth allow insecure global id reclaim = false
run dir = $directory/run
crash dir = $directory/run
admin socket = $directory/run/\$name.\$pid.asok
log file = $directory/log/\$name.log
mon data = $directory/mon
mon data avail warn = 1
mon data avail crit = 1
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 1000
osd data = $directory/osd
osd objectstore = memstore
osd op num shards = 2
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
memstore device bytes = 4294967296
[client.rgw]
rgw data = $directory/rgw
rgw frontends = beast endpoint=127.0.0.1:$gateway_port tcp_nodelay=1
rgw dns name = localhost
rgw thread pool size = 64
rgw enable usage log = false
rgw gc obj min wait = 5
rgw gc processor period = 15
${RADOSGW_SETTINGS:-}
CONF

# Tries until it works, for some seconds; the daemons tell nobody when they are up.
await() {
  for _ in $(seq 150); do "$@" > /dev/null 2>&1 && return 0; sleep 0.2; done
  echo "gave up waiting for: $*" >&2
  exit 1
}

ceph-authtool "$keyring" --create-keyring --gen-key -n mon. --cap mon 'allow *'
ceph-authtool "$keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *'
ceph-authtool "$keyring" --gen-key -n client.rgw --cap mon 'allow rw' --cap osd 'allow rwx'
ceph-authtool "$keyring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
monmaptool --create --fsid "$cluster" --addv a "[v2:127.0.0.1:$monitor_port]" "$directory/monmap"
ceph-mon -i a --mkfs --monmap "$directory/monmap" --keyring "$keyring"
ceph-mon -i a -f &
await timeout 5 ceph mon stat
ceph osd new "$(cat /proc/sys/kernel/random/uuid)"
ceph auth import -i "$keyring"
osd_uuid=$(ceph osd dump | sed -n 's/^osd\.0 .* \([0-9a-f-]\{36\}\)$/\1/p')
ceph-osd -i 0 --mkfs --osd-uuid "$osd_uuid" --no-mon-config
ceph-osd -i 0 -f &
osd_up() { ceph osd stat | grep -q '1 up'; }
await osd_up
gateway() {
  until radosgw -n client.rgw -f || [ "${RADOSGW_RESTART:-}" != 1 ]; do sleep 0.2; done
}
gateway &
gateway_up() { (exec 3<> "/dev/tcp/127.0.0.1/$gateway_port"); }
await gateway_up
radosgw-admin -n client.rgw user create --uid=tests --display-name=tests --access-key="$access_key" --secret-key="$secret_key" > /dev/null
touch "$directory/ready"
wait
