#!/usr/bin/env bash
# Ray: a second node on the same machine removes the working_dir that workers of the first run in.
#
# Expected: nodes that share a temporary folder, as those that `ray start` puts on one machine do, share the unpacked
#           package of a job too: what is there is used.
# Seen:     the agent of each node unpacks the package anew, and removes the folder first. A worker of the first node
#           loses its current folder: what it imports meanwhile is missing, and files that it wrote there are gone.
#           By default all nodes unpack as a job begins, so this is a race that few first jobs lose.
# Do:       give each node of a machine a folder of its own (`ray start --temp-dir`).
# Versions: Ray 2.60.0. Takes two minutes; starts two Ray nodes on loopback and stops them.
set -euo pipefail
work="$(mktemp -d /tmp/find-XXXXXX)"
nodes=()
end() {
  for node in "${nodes[@]}"; do pkill -TERM --session "$node" 2>/dev/null || true; done
  sleep 3
  for node in "${nodes[@]}"; do pkill -KILL --session "$node" 2>/dev/null || true; done
  rm -rf "$work"
}
trap end EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet "ray[default]==2.60.0"
export RAY_AUTH_MODE=disabled RAY_raylet_start_wait_time_s=300

free_ports() {
  python3 -c 'import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(each.getsockname()[1] for each in held))' "$1"
}

start() { # name, temporary folder, arguments
  local name="$1" temp="$2"
  shift 2
  setsid "$work/env/bin/ray" start --block --disable-usage-stats --node-ip-address=127.0.0.1 --num-cpus=1 \
    --resources="{\"$name\": 1}" --temp-dir="$temp" --object-store-memory=100000000 \
    --min-worker-port=0 --max-worker-port=0 "$@" >"$work/$name.log" 2>&1 </dev/null &
  nodes+=($!)
  for _ in $(seq 240); do
    grep -qs "Ray runtime started" "$work/$name.log" && return
    sleep 0.5
  done
  tail "$work/$name.log"
  return 1
}

seen() { # name of the second node, its temporary folder; prints what the worker of the first finds afterwards
  local port dashboard agents
  read -r port dashboard agents < <(free_ports 3)
  start head "$work/t" --head --port="$port" --include-dashboard=false --dashboard-agent-listen-port="$agents"
  read -r agents < <(free_ports 1)
  start second "$1" --address="127.0.0.1:$port" --dashboard-agent-listen-port="$agents"
  (cd "$work/package" && "$work/env/bin/python" - "127.0.0.1:$port" 2>"$work/driver.log" <<'PY') || tail "$work/driver.log"
import os
import sys

import ray

# By default all nodes unpack as the job begins, at nearly the same time; here each does so for its first worker.
environment = {"working_dir": ".", "config": {"eager_install": False}}
ray.init(address=sys.argv[1], runtime_env=environment, log_to_driver=False, logging_level="ERROR")


@ray.remote(num_cpus=0)
class Worker:
    def write(self):
        with open("written", "w") as file:
            file.write("by the first node's worker")

    def has_its_file(self):
        return os.path.exists(os.path.join(os.environ["PWD_AT_START"], "written"))

    def folder(self):
        os.environ["PWD_AT_START"] = os.getcwd()
        return os.getcwd()


first = Worker.options(resources={"head": 0.1}).remote()
ray.get(first.folder.remote())
ray.get(first.write.remote())
before = ray.get(first.has_its_file.remote())
second = Worker.options(resources={"second": 0.1}).remote()
ray.get(second.folder.remote())
print(before, ray.get(first.has_its_file.remote()))
PY
  for node in "${nodes[@]}"; do pkill -TERM --session "$node" 2>/dev/null || true; done
  sleep 5
  for node in "${nodes[@]}"; do pkill -KILL --session "$node" 2>/dev/null || true; done
  nodes=()
  rm -rf "$work/t" "$work/u" "$work"/*.log
}

mkdir "$work/package"
echo "VALUE = 1" >"$work/package/module.py"
shared="$(seen "$work/t")"
apart="$(seen "$work/u")"
echo "the first node's worker finds its file before and after the second node's worker starts"
echo "one temporary folder:   $shared"
echo "folders of their own:   $apart"
[[ "$shared" == "True False" && "$apart" == "True True" ]] || { echo "the behaviour has changed"; exit 1; }
