package syntax

import "testing"

func TestResolvePlain(t *testing.T) {
	for _, test := range []struct {
		kind  Kind
		value string
		texts []string
	}{
		{Bool, "true", []string{"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"}},
		{Bool, "false", []string{"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"}},
		{Null, "", []string{"", "~", "null", "Null", "NULL"}},
		{Int, "15", []string{"15", "+15", "017", "0xF", "0x0f", "0b1111", "1_5", "1,5"}},
		{Int, "-15", []string{"-15", "-017", "-0xF"}},
		{Int, "0", []string{"0", "00", "-0"}},
		{Int, "1000", []string{"1000", "1_000", "1,000"}},
		{Int, "18446744073709551616", []string{"18446744073709551616", "0x10000000000000000"}},
		{Int, "5400", []string{"1:30", "1:30:00", "+1:30"}},
		{Int, "45045", []string{"12:30:45"}},
		{Float, "1.20", []string{"1.20"}},
		{Float, "1e3", []string{"1e3"}},
		{Float, ".5", []string{".5"}},
		{Float, "1.", []string{"1."}},
		{Float, "-1.5E-7", []string{"-1.5E-7"}},
		{Float, "1:30.5", []string{"1:30.5"}},
		{Float, ".inf", []string{".inf"}},
		{Float, "-.Inf", []string{"-.Inf"}},
		{Float, ".nan", []string{".nan"}},
	} {
		for _, text := range test.texts {
			if kind, value, date := resolvePlain(text); kind != test.kind || value != test.value || date {
				t.Errorf("%q is %v %q (date: %v), want %v %q", text, kind, value, date, test.kind, test.value)
			}
		}
	}
	for _, text := range []string{
		"y", "n", "Y", "N", "tRue", "nUll", "0o17", "08", "09", "1.2.3", "v1", "1a", "1:60", "1:2:3:4", "+", "-", ".", "e3", "0x", "0b", "0xg",
		"_1", "1__0x", "--1", "-x", "...", "2024-13-01", "2024-1", "10.0.0.1", "é", "a b", ":",
	} {
		if kind, value, date := resolvePlain(text); kind != String || value != text || date {
			t.Errorf("%q is %v %q (date: %v), want a string", text, kind, value, date)
		}
	}
	for _, text := range []string{"2024-01-31", "2024-1-1", "2024-01-31 10:00:00", "2024-01-31T10:00:00Z", "2024-01-31 10:00:00.5 +01:00"} {
		if _, _, date := resolvePlain(text); !date {
			t.Errorf("%q is no date", text)
		}
	}
	if kind, value, _ := resolvePlain(":foo"); kind != String || value != "foo" {
		t.Errorf("a symbol is %v %q", kind, value)
	}
}
