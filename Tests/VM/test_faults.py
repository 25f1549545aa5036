"""Faults of process 1: the machine goes on, or ends in order, and there is never a panic."""

import re

from machines import machine

# Makes process 1 meet a fault of its own: the instruction by which it goes on, once it has waited, is none.
BREAK = r"""perl -e 'open(S, "<", "/proc/1/syscall") or die; my $place = (split(" ", <S>))[-1];
    die "it waits for nothing" if $place eq "running";
    open(M, "+<", "/proc/1/mem") or die "mem: $!"; sysseek(M, hex($place), 0); syswrite(M, "\x0f\x0b") == 2 or die "$!"'"""
FIELDS = "svstat /service/sshd /service/sshd/log | cut -d' ' -f1-4"


def test_a_machine_whose_process_1_meets_faults(tmp_path):
    """It goes on with every service, hears of buttons and requests as before, and its end is as orderly."""
    with machine(tmp_path) as vm:
        vm.wait_login()
        before = vm.ssh(FIELDS)
        for name in ["SEGV", "ILL", "BUS", "FPE", "TRAP", "ABRT", "SYS"]:
            vm.ssh(f"kill -{name} 1")
        vm.wait_text("init: warning: recovered from signal 11 from another process, processes")
        vm.wait_text("init: warning: recovered from signal 31 from another process")
        vm.ssh(BREAK + "; svc -a /service/getty-ttyS0")
        vm.wait_text("init: warning: recovered from a fault of its own .signal 4,")
        # The same by somebody's wish, with a new file in the place of the one that runs.
        vm.ssh("cp /usr/bin/apus /usr/bin/new; mv /usr/bin/new /usr/bin/apus; svscanctl -u /service")
        vm.wait_text("init: info: became another binary")
        assert vm.ssh(FIELDS) == before
        text = vm.ssh(r"""
            cat /proc/1/comm; tr '\0' ' ' < /proc/1/cmdline; echo
            svc -d /service/getty-ttyS0; svwait -t 60 down /service/getty-ttyS0 && svc -u /service/getty-ttyS0
            svwait -t 60 up /service/getty-ttyS0 && echo controlled
            { printf '\151\031\011\003\001\000\000\0009\000\000\000'; head -c 372 /dev/zero; } > /tmp/record
            cat /tmp/record > /run/initctl; echo now > /root/now
        """)
        assert text.startswith("init\n") and text.endswith("\ncontrolled\n")
        vm.wait_text("/run/initctl: there is no runlevel 9")
        vm.monitor("system_powerdown")
        vm.wait_exit()
        assert "Power down" in vm.text
        vm.assert_clean()
        assert vm.debugfs("cat /root/now") == b"now\n"
        assert b".u" not in vm.debugfs("ls /var/log/sshd")


def break_from_shell(vm):
    """Takes the shell that the console offers, and has process 1 meet a fault when the shell ends."""
    vm.open_shell()
    vm.type(BREAK.replace("\n", " ") + "; exit\n")


def test_a_fault_at_boot(tmp_path):
    """The machine offers a shell and then starts its services, without another try of what it had not done yet."""
    with machine(tmp_path, "single") as vm:
        break_from_shell(vm)
        vm.wait_text("process 1 met a fault while the machine came up; here is a shell")
        vm.text = ""
        vm.open_shell()
        vm.type("findmnt -n -o OPTIONS / | cut -c 1-3; exit\n")
        vm.wait_text(r"rw,\n")
        assert vm.ssh_last("tr '\\0' '\\n' < /proc/1/environ | grep -c FAULT; cat /proc/$PPID/environ | grep -c FAULT;"
                           " echo now > /root/now; poweroff") == "1\n0\n"
        vm.wait_exit()
        vm.assert_clean()
        assert vm.debugfs("cat /root/now") == b"now\n"


def test_two_faults_at_boot(tmp_path):
    """After the second one the machine ends, and what was written is on its disk."""
    with machine(tmp_path, "single", "apus.poweroff=reboot") as vm:
        break_from_shell(vm)
        vm.wait_text("process 1 met a fault while the machine came up; here is a shell")
        vm.text = ""
        break_from_shell(vm)
        vm.wait_exit()
        assert "init: fatal: stopped by a fault of its own" in vm.text
        assert re.search("Restarting system", vm.text)
