package pipeline

import "testing"

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]int64{
		"3600 seconds":                 3600,
		"60 minutes":                   3600,
		"one hour":                     3600,
		"an hour":                      3600,
		"1h":                           3600,
		"1:00:00":                      3600,
		"3h 30m":                       12600,
		"2h20min":                      8400,
		"1 day and 3 mins 4 sec":       86584,
		"6 mos 1 day":                  15638400,
		"42":                           42,
		"1.5h":                         5400,
		".5h":                          1800,
		"0.1 h":                        360,
		"90.9":                         90,
		"day":                          86400,
		"1 week, 2 days, with 3 hours": 788400,
		"2 wks plus 1 wk":              1814400,
		"1 yr":                         31557600,
		"4 y 1 second":                 126230401,
		"1 DAY":                        86400,
		"  5 min\n":                    300,
		"5 min 10":                     310,
		"1:30":                         90,
		"1:0:0:0":                      86400,
		"1:0:0:0:0":                    2592000,
		"1:0:0:0:0:0":                  31557600,
		"1:30.5":                       90,
		"twenty five minutes":          1500,
		"twenty-five minutes":          1500,
		"twenty minutes five":          1205,
		"0":                            0,
		"0.5s":                         0,
	} {
		if got, err := ParseDuration(text); got != want || err != nil {
			t.Errorf("ParseDuration(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestParseDurationErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "it is empty",
		" , ":                           "it is empty",
		"and":                           "it is empty",
		"abc":                           `"abc" is no unit of time`,
		"1 fortnight":                   `"fortnight" is no unit of time`,
		"3 fortnights":                  `"fortnights" is no unit of time`,
		"1e99h":                         `"e" is no unit of time`,
		"-1":                            "'-' is not allowed",
		"-1 hour":                       "'-' is not allowed",
		"-hour":                         "'-' is not allowed",
		"$X":                            "'$' is not allowed",
		"5.":                            "'.' is not allowed",
		"1 hour day":                    `"day" has no number`,
		"1:":                            `"" is not a number`,
		"1:2h":                          `"2h" is not a number`,
		"1:2:3:4:5:6:7":                 `"1:2:3:4:5:6:7" has more than 6 fields`,
		"99999999999999999999999 years": `"99999999999999999999999 years" is too long`,
		"111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111": "102 characters are too many",
		"never": `"never" is no unit of time`,
		"1 mé":  "'é' is not allowed",
	} {
		got, err := ParseDuration(text)
		if err == nil || err.Error() != want {
			t.Errorf("ParseDuration(%q) = %d, %v; want error %s", text, got, err, want)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"1h 30m", "1:00:00", "twenty-five min", "a", ".5", "1.5.5h", ":"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if seconds, err := ParseDuration(text); err != nil && seconds != 0 || seconds < 0 {
			t.Errorf("ParseDuration(%q) = %d, %v", text, seconds, err)
		}
	})
}
