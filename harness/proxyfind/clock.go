package proxyfind

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	weekdays = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
	months   = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
)

// inZone takes the word GMT from the end of the arguments.
func inZone(now time.Time, args []string) (time.Time, []string) {
	if n := len(args) - 1; n >= 0 && args[n] == "GMT" {
		return now.UTC(), args[:n]
	}
	return now, args
}

// within tells whether now is from..to, both included; a range that ends before it begins goes round:
// from FRI to MON, from 22:00 to 06:00.
func within(now, from, to int) bool {
	if from <= to {
		return from <= now && now <= to
	}
	return now >= from || now <= to
}

// weekdayRange(day), weekdayRange(from, to), each also with GMT.
func weekdayRange(now time.Time, args []string) bool {
	now, args = inZone(now, args)
	if len(args) == 0 {
		return false
	}
	from := slices.Index(weekdays, args[0])
	to := from
	if len(args) > 1 {
		to = slices.Index(weekdays, args[1])
	}
	return from >= 0 && to >= 0 && within(int(now.Weekday()), from, to)
}

// dateRange has one date or two, each a day, a month, a year, or two or three of them in this order;
// each also with GMT.
func dateRange(now time.Time, args []string) bool {
	now, args = inZone(now, args)
	kind, values := dateParts(args)
	half := len(kind) / 2
	switch {
	case kind == "":
		return false
	case half > 0 && kind[:half] == kind[half:] && len(kind)%2 == 0:
		return within(dateNumber(now, kind[:half]), number(values[:half]), number(values[half:]))
	case strings.Contains("dmy", kind):
		return dateNumber(now, kind) == number(values)
	}
	return false
}

// dateParts says for each argument whether it is a day, a month or a year.
func dateParts(args []string) (kind string, values []int) {
	for _, a := range args {
		n, err := strconv.Atoi(a)
		month := slices.Index(months, a)
		switch {
		case month >= 0:
			kind, n = kind+"m", month
		case err != nil || n < 1 || n > 9999:
			return "", nil
		case n <= 31:
			kind += "d"
		default:
			kind += "y"
		}
		values = append(values, n)
	}
	return kind, values
}

// dateNumber is the number of the same parts of a time.
func dateNumber(t time.Time, kind string) int {
	var values []int
	for _, part := range kind {
		values = append(values, map[rune]int{'d': t.Day(), 'm': int(t.Month()) - 1, 'y': t.Year()}[part])
	}
	return number(values)
}

// number puts parts that stand in the order day, month, year into one number that grows with the date.
func number(values []int) (n int) {
	for _, v := range slices.Backward(values) {
		n = n*100 + v
	}
	return n
}

// timeRange(hour), (from, to) in hours, both included to their ends and not over midnight, as browsers
// have it; (h, m, h, m), (h, m, s, h, m, s), also over midnight; each also with GMT.
func (s *script) timeRange(args []string) bool {
	now, args := inZone(s.world.now(), args)
	var v []int
	for _, a := range args {
		n, err := strconv.Atoi(a)
		if err != nil {
			return false
		}
		v = append(v, n)
	}
	second := now.Hour()*3600 + now.Minute()*60 + now.Second()
	switch len(v) {
	case 0:
		return false
	case 1:
		return now.Hour() == v[0]
	case 2:
		return v[0] <= now.Hour() && now.Hour() <= v[1]
	case 4:
		return within(second, v[0]*3600+v[1]*60, v[2]*3600+v[3]*60+59)
	case 6:
		return within(second, v[0]*3600+v[1]*60+v[2], v[3]*3600+v[4]*60+v[5])
	}
	panic(s.vm.NewTypeError("timeRange: %d arguments", len(args)))
}
