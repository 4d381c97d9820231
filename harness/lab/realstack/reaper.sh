# Ends everything that belongs to one stack, when whoever holds the other end of our standard input
# closes it or dies. $1: the private directory, $2: how the stack's files in /dev/shm begin.
trap '' HUP INT QUIT TERM
while read -r _; do :; done

# By environment, whatever session or parent a process gave itself; by working directory those that
# overwrote their environment with a title. A process being killed has neither.
remaining() {
	{
		grep -lszxF "TURNGATE_REALSTACK=$1" /proc/[0-9]*/environ
		find /proc/[0-9]*/cwd -maxdepth 0 \( -lname "$1" -o -lname "$1/*" \)
	} 2>/dev/null | cut -d/ -f3
}

# More than once: a process may fork while we look.
rounds=0
while pids=$(remaining "$1") && [ -n "$pids" ]; do
	rounds=$((rounds + 1))
	if [ "$rounds" -gt 200 ]; then
		echo "still running:" $pids >&2
		exit 1
	fi
	kill -KILL $pids 2>/dev/null
	sleep 0.02
done
rm -rf -- "$1" || exit 1
rm -f -- /dev/shm/"$2"*
