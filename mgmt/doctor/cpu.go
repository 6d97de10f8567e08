package doctor

import (
	"fmt"
	"slices"
	"strings"

	"turnout/mgmt/cpulist"
)

var cpuChecks = []check[*Host]{
	{
		"isolated_cpus", "the kernel keeps the lcores' CPUs free of other work",
		"whatever the kernel runs on an lcore's CPU stops the lcore for that time, and the receive ring overflows", isolatedCPUs,
	},
	{
		"governor", "no lcore's CPU saves power",
		"a CPU that clocks down or up costs an lcore microseconds at the moment when traffic comes", governor,
	},
	{
		"tsc", "the TSC runs evenly, and the kernel tells the time by it",
		"lcores tell the time by the TSC alone: time-outs of flows and the limits of punted frames go by it", tsc,
	},
}

// parseCPUs reads a list from sysfs, which is right unless the kernel is not Linux.
func parseCPUs(text string) []int {
	cpus, _ := cpulist.Parse(text)
	return cpus
}

func formatCPUs(cpus []int) string { return cpulist.Format(slices.Sorted(slices.Values(cpus))) }

// without are the CPUs of all that are not among some.
func without(all, some []int) (rest []int) {
	for _, cpu := range all {
		if !slices.Contains(some, cpu) {
			rest = append(rest, cpu)
		}
	}
	return rest
}

// isolatedCPUs is a note only where nothing but virtual devices is used: such directors are trials.
func isolatedCPUs(h *Host) []Finding {
	var missing, arguments []string
	for _, argument := range []string{"isolcpus", "nohz_full", "rcu_nocbs"} {
		if rest := without(h.Lcores, h.cpusOf(argument)); len(rest) > 0 {
			missing = append(missing, argument)
			arguments = append(arguments, argument+"="+formatCPUs(h.Lcores))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	severity := Warning
	if len(h.physical()) == 0 {
		severity = Note
	}
	return []Finding{found(severity, kernelArgument(strings.Join(arguments, " ")), "the kernel's command line has not all lcores (%s) in %s", formatCPUs(h.Lcores), strings.Join(missing, ", "))}
}

// cpusOf are the CPUs of an argument of the kernel's command line. isolcpus may have words before them.
func (h *Host) cpusOf(argument string) (cpus []int) {
	for _, word := range strings.Fields(h.text("/proc/cmdline")) {
		list, ok := strings.CutPrefix(word, argument+"=")
		for part := range strings.SplitSeq(list, ",") {
			if ok {
				cpus = append(cpus, parseCPUs(part)...)
			}
		}
	}
	return cpus
}

func governor(h *Host) []Finding {
	var slow []int
	for _, cpu := range h.Lcores {
		g := h.text(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", cpu))
		if g != "" && g != "performance" {
			slow = append(slow, cpu)
		}
	}
	if len(slow) == 0 {
		return nil
	}
	const mend = "echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
	return []Finding{found(Warning, mend, "the governor of the CPUs %s is not performance", formatCPUs(slow))}
}

// slowClocks are what the kernel takes where it does not trust the TSC.
var slowClocks = []string{"hpet", "acpi_pm", "jiffies", "refined-jiffies"}

func tsc(h *Host) (all []Finding) {
	if clock := h.text("/sys/devices/system/clocksource/clocksource0/current_clocksource"); slices.Contains(slowClocks, clock) {
		all = append(all, found(Warning, "echo tsc >/sys/devices/system/clocksource/clocksource0/current_clocksource", "the kernel tells the time by %s: it found the TSC unfit (dmesg says why)", clock))
	}
	flags := strings.Fields(h.text("/proc/cpuinfo"))
	for _, flag := range []string{"constant_tsc", "nonstop_tsc"} {
		if len(flags) > 0 && !slices.Contains(flags, flag) {
			all = append(all, found(Warning, "have the virtual machine's host pass the flag on (libvirt: cpu mode host-passthrough, feature invtsc)", "the CPU has not %s", flag))
		}
	}
	return all
}
