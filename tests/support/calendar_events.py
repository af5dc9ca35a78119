"""Calendar events that systemd takes, where the zones are Universal Time, and that it refuses."""

from osloom.model.calendar_event import SHORTHANDS

TAKEN = (
    *(
        "Sun",
        "Sun,",
        "Sun 03:00",
        "Sun  03:00",
        "SUN 3:0",
        "Mon..Fri,Sun 3:0",
        "Mon-Fri",
        "tue-Tue",
    ),
    *("12,13..15/2:00", "*:0/15", "*:*:*", "12:05:1.5/2.5", "1:2:3..4", "0..24/17:45", "1..1:00"),
    *("1:57:1.5..60", "*-*-*", "05-05", "2003-02..04-05", "0-1-1", "99-1-1", "*-13", "2-31"),
    *("*-* 1:1", "02~01", "5~1", "*-02~7/1", "*-05~03/1", "@1700000000", "Mon,  03:00"),
    *("Sun 03:00 UTC", "Sun 03:00 utc", "Sun 03:00 Europe/Berlin", "daily UTC"),
    *("2024-1-1 3:0 Etc/GMT+3", "03:00 EST5EDT", "Sun UTC", "Sun 03:00 W-SU", "03:00 Singapore"),
    *("Sunday,Mon 1:00 Asia/Tokyo", "DAILY", *SHORTHANDS),
)
REFUSED = (
    *("", " ", "rubbish", "nwo", "Never", "UTC", "*", "10", "Sun 3", "Sun rubbish", "Thursdays"),
    *("Fri-Mon", "Sat..Thu,Mon", "Mon..Fri..Sun", "Mon..", "Sun 25:00", "00:60", "00:00:60"),
    *("23..22:0", "0:0/0", "1/100:00", "1,,2:00", "1,*:00", "-1:00", "*/2:00", "1.5:00", "03:00:"),
    *("0-0", "1969-1-1", "2200-1-1", "13-1", "1~29", "*-*-1~03", "1~1~1", "2024-01-01T03:00"),
    *("@-5", "@5.5", "1e5:00", "03:00 UTC UTC"),
)
