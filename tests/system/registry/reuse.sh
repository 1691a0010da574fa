# Gives the numbers of dead workers to bystanders, and lets the next host recover: `reuse.sh DIRECTORY HOST STUB ROUNDS`.
# Runs as the first process of a process namespace, and prints how many numbers came again and how many bystanders were
# harmed. Leaves with 77 where numbers cannot be chosen.
directory=$1 host=$2 stub=$3 rounds=$4
last=/proc/sys/kernel/ns_last_pid
{ cat "$last" >"$last"; } 2>/dev/null || exit 77

reused=0 harmed=0 bystanders=
round=0
while [ "$round" -le "$rounds" ]; do
  rm -f "$directory/said"
  "$host" "$directory/data" none "$stub" --ignore-eof >"$directory/said" </dev/null &
  pid=$!
  until grep -q ' ' "$directory/said" 2>/dev/null; do
    kill -0 "$pid" 2>/dev/null || { echo "the host left" >&2; exit 1; }
    sleep 0.01
  done
  read -r workers <"$directory/said"
  # This host has recovered what the one before it had left: whose numbers the bystanders have.
  for bystander in $bystanders; do
    kill -0 "$bystander" 2>/dev/null || harmed=$((harmed + 1))
    kill -9 "$bystander" 2>/dev/null
    wait "$bystander" 2>/dev/null
  done
  bystanders=
  [ "$round" -eq "$rounds" ] && break
  # The host cannot react, nor can its shims when the workers are gone.
  kill -STOP "$pid"
  # shellcheck disable=SC2086
  kill -9 $workers
  kill -9 "$pid"
  wait "$pid" 2>/dev/null
  for worker in $workers; do
    while [ -e "/proc/$worker" ]; do sleep 0.01; done
    tries=0
    while [ "$tries" -lt 50 ]; do
      echo $((worker - 1)) >"$last"
      sleep 600 &
      if [ "$!" -eq "$worker" ]; then
        bystanders="$bystanders $worker" reused=$((reused + 1))
        break
      fi
      kill -9 "$!"
      wait "$!" 2>/dev/null
      tries=$((tries + 1))
    done
  done
  round=$((round + 1))
done
kill -9 "$pid"
echo "reused $reused harmed $harmed"
