package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/certproxy/certproxy/integration/rig"
)

// tree returns the process and all that come from it, such as nginx's workers and
// squid's helpers. That of 0 is empty.
func tree(pid int) []int {
	if pid == 0 {
		return nil
	}
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is good
	for _, path := range stats {
		fields := stat(path)
		if fields == nil {
			continue // it has ended
		}
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], child)
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// stat returns the fields behind the name of the command, which may hold anything:
// the state is the first, proc_pid_stat(5) calls it the third.
func stat(path string) []string {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
}

// processorTime is what the processes have used so far, in their own code and in
// the system's.
func processorTime(pids []int) time.Duration {
	const tick = 10 * time.Millisecond // for every program, whatever the kernel uses
	var ticks int
	for _, pid := range pids {
		if fields := stat(fmt.Sprintf("/proc/%d/stat", pid)); fields != nil {
			user, _ := strconv.Atoi(fields[11])
			system, _ := strconv.Atoi(fields[12])
			ticks += user + system
		}
	}
	return time.Duration(ticks) * tick
}

// peak is the most memory that the processes had at once, in bytes.
func peak(pids []int) int64 { return memory(pids, "status", "VmHWM:") }

// share is the memory of the processes in bytes; what two of them share counts once.
func share(pids []int) int64 { return memory(pids, "smaps_rollup", "Pss:") }

func memory(pids []int, file, field string) int64 {
	var kib int64
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(data)) {
			if value, ok := strings.CutPrefix(line, field); ok {
				n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
				kib += n
			}
		}
	}
	return kib << 10
}

// settled is the [share] of the processes once it no longer changes from one look to
// the next, or after ten looks.
func settled(pid int, between time.Duration) int64 {
	look := time.NewTicker(between)
	defer look.Stop()
	last := share(tree(pid))
	for range 10 {
		<-look.C
		now := share(tree(pid))
		if change := now - last; -last < change*100 && change*100 < last {
			return now
		}
		last = now
	}
	return last
}

// machine says where and when the samples were taken, and how busy it was there.
func machine(t testing.TB) string {
	t.Helper()
	model := "unknown processor"
	for line := range strings.Lines(string(rig.Read(t, "/proc/cpuinfo"))) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	cores := strings.Count("\n"+string(rig.Read(t, "/proc/cpuinfo")), "\nprocessor")
	kernel, _, _ := strings.Cut(string(rig.Read(t, "/proc/sys/kernel/osrelease")), "-")
	busy, _, _ := strings.Cut(string(rig.Read(t, "/proc/loadavg")), " ")
	return fmt.Sprintf("%s, %d x %s, Linux %s, load average before: %s",
		time.Now().Format(time.DateOnly), cores, model, strings.TrimSpace(kernel), busy)
}
