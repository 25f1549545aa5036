"""What each signal does to process 1 of a machine: what others' programs and people send, and all that is left."""

import re

import pytest

from machines import machine

# What ends a machine; the faults of a program are for its own handler.
ENDING = {2, 12, 15, 30, *range(37, 41), *range(47, 51)}
FAULTS = {4, 5, 6, 7, 8, 11}


def test_signals_that_restart_or_do_nothing(tmp_path):
    """One machine that comes up again and again."""
    with machine(tmp_path, restarts=True) as vm:
        vm.wait_login()
        others = " ".join(str(number) for number in range(1, 65) if number not in ENDING | FAULTS)
        text = vm.ssh(f"""
            before=$(svstat /service/sshd | cut -d' ' -f1-4); rm /run/initctl
            for number in {others}; do kill -$number 1; done
            until test -p /run/initctl; do sleep 0.1; done
            test "$(svstat /service/sshd | cut -d' ' -f1-4)" = "$before" && cat /proc/1/comm
        """)
        assert text == "init\n"
        for count, signal in enumerate(["INT", "39", "49"], 1):
            vm.ssh_last(f"echo {signal} > /root/signal; kill -{signal} 1")
            vm.wait_text("Restarting system", count)
            vm.wait_login(count + 1)
            # What the firmware writes between is no text, and the console's is long.
            assert vm.ssh("cat /root/signal") == f"{signal}\n"
        vm.ssh_last("poweroff")
        vm.wait_exit()
        vm.assert_clean()


@pytest.mark.parametrize("signal", ["PWR", "TERM", "USR2", "38", "48"])
def test_signals_that_power_off(tmp_path, signal):
    with machine(tmp_path) as vm:
        vm.ssh_last(f"echo now > /root/now; kill -{signal} 1")
        vm.wait_exit()
        assert "Power down" in vm.text
        vm.assert_clean()
        assert vm.debugfs("cat /root/now") == b"now\n"


@pytest.mark.parametrize("command", ["halt", "kill -47 1"])
def test_halt(tmp_path, command):
    """The machine stands still with its power on, and its disk is in order."""
    with machine(tmp_path) as vm:
        vm.ssh_last(f"echo now > /root/now; {command}")
        vm.wait_text("System halted")
        assert vm.process.poll() is None
        vm.process.kill()
        vm.process.wait()
        vm.assert_clean()
        assert vm.debugfs("cat /root/now") == b"now\n"


def test_the_records_of_sysvinit(tmp_path):
    """Runlevel 0 on /run/initctl is power off, also in pieces of what is none, and q is a look at /service."""
    with machine(tmp_path) as vm:
        text = vm.ssh_last(r"""
            record() {
                { printf '\151\031\011\003%b\000\000\000%s\000\000\000' "$1" "$2"; head -c 372 /dev/zero; } > /tmp/record
                cat /tmp/record > /run/initctl
            }
            record '\002' 0; record '\001' 9; head -c 100000 /dev/urandom > /run/initctl
            mkdir /service/late; printf '#!/bin/sh\nexec sleep 100000\n' > /tmp/run; chmod +x /tmp/run
            mv /tmp/run /service/late/run; record '\001' q; svwait -t 60 up /service/late && echo late is up
            echo now > /root/now; record '\001' 0
        """)
        vm.wait_exit()
        assert text == "late is up\n"
        assert "Power down" in vm.text and re.search("there is no runlevel 9", vm.text)
        vm.assert_clean()
        assert vm.debugfs("cat /root/now") == b"now\n"
