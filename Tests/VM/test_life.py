"""A machine's life: it comes up, is administered over ssh, starts again, and goes off, and nothing is lost."""

import subprocess
import time

import pytest

from machines import PATIENCE, machine


# One worker has the machine, and runs the tests in their order.
pytestmark = pytest.mark.xdist_group("life")


@pytest.fixture(scope="module")
def vm(tmp_path_factory):
    """A machine that the tests of this file share; words that nobody knows do it no harm."""
    with machine(tmp_path_factory.mktemp("life"), "nonsense", "svc", "apus.unknown=1", "hostname=swift",
                 restarts=True) as running:
        running.wait_login()
        yield running


def test_it_is_up(vm):
    """One login tells about all of the boot."""
    text = vm.ssh("""
        cat /proc/1/comm; hostname; cat /proc/sys/kernel/random/boot_id
        for place in /proc /sys /dev /dev/pts /dev/shm /run /tmp /sys/fs/cgroup; do
            echo "mount $place $(findmnt -n -o FSTYPE $place) $(stat -c %a $place)"
        done
        echo "root $(findmnt -n -o OPTIONS / | cut -d, -f1)"
        stat -c 'ptmx %a' /dev/pts/ptmx
        echo "links $(readlink /dev/fd) $(readlink /dev/stdin)"
        echo "limit $(ulimit -Hn) $(ulimit -Sn)"
        echo "lo $(ip -brief address show lo)"
        echo "route $(ip route show default)"
        echo "parent $(cat /proc/$(cat /proc/$PPID/stat | cut -d' ' -f4)/comm)"
        who -b; who -r
        svstat /service/sshd /service/sshd/log /service/getty-ttyS0
        cat /proc/sys/kernel/ctrl-alt-del
        [ -c /dev/console ] && tty; mount | wc -l
        ls -l /run/initctl
        umount /tmp && touch /tmp/x && mount -t tmpfs tmpfs /tmp && date -s now > /dev/null && echo administered
    """)
    assert text.startswith("init\nswift\n")
    for place, kind, mode in [
            ("/proc", "proc", 555), ("/sys", "sysfs", 555), ("/dev", "devtmpfs", 755),
            ("/dev/pts", "devpts", 755), ("/dev/shm", "tmpfs", 1777), ("/run", "tmpfs", 755),
            ("/tmp", "tmpfs", 1777), ("/sys/fs/cgroup", "cgroup2", 555)]:
        assert f"mount {place} {kind} {mode}\n" in text
    assert "root rw\n" in text
    assert "ptmx 666\n" in text
    assert "links /proc/self/fd /proc/self/fd/0\n" in text
    assert "limit 524288 1024\n" in text
    assert "127.0.0.1/8" in text and "::1/128" in text
    assert "route default via 10.0.2.2 dev eth0" in text
    assert "system boot" in text and "run-level 2" in text
    for service in "sshd", "sshd/log", "getty-ttyS0":
        assert f"/service/{service}: up (pid " in text
    assert "\n0\n" in text
    assert "administered\n" in text


def test_svc_over_ssh(vm):
    text = vm.ssh("""
        before=$(svstat /service/getty-ttyS0); svc -t /service/getty-ttyS0
        until [ "$(svstat /service/getty-ttyS0 | cut -d')' -f1)" != "$(echo "$before" | cut -d')' -f1)" ]; do
            sleep 0.1; done
        svc -d /service/getty-ttyS0; until svstat /service/getty-ttyS0 | grep down; do sleep 0.1; done
        svc -u /service/getty-ttyS0; until svstat /service/getty-ttyS0 | grep "up (pid"; do sleep 0.1; done
    """)
    assert "down" in text and "up (pid" in text


def test_everything_killed_but_process_1(vm):
    subprocess.run(vm.ssh_command("kill -KILL -1"), capture_output=True, timeout=PATIENCE)
    assert vm.ssh("svstat /service/sshd").startswith("/service/sshd: up (pid ")


def test_wrong_requests(vm):
    text = vm.ssh("""
        exec 2>&1
        for request in shutdown "shutdown 25:00" "shutdown -c" "telinit 3" "reboot -x" "setuidgid log reboot"; do
            $request; echo "$request: $?"
        done
    """)
    for request, code in [("shutdown", 100), ("shutdown 25:00", 100), ("shutdown -c", 111), ("telinit 3", 100),
                          ("reboot -x", 100), ("setuidgid log reboot", 111)]:
        assert f"\n{request}: {code}\n" in text, text
    assert "shutdown: fatal: nothing is scheduled\n" in text
    assert "reboot: fatal: unable to signal process 1: permission denied\n" in text


def test_a_program_has_limits_together_with_what_it_starts(vm):
    """By a control group of version 2, with all controllers; what is left of it is removed at the next start."""
    text = vm.ssh("""
        exec 2>&1
        setcaps --cgroup pids=4 sh -c 'for i in 1 2 3 4 5 6; do sleep 1 & done; wait; echo unreached'
        echo "pids $?"
        setcaps --own pid --cgroup pids=2 sh -c 'sleep 0.1; echo one child' && echo "own pids $?"
        setcaps --cgroup memory=32M perl -e '$x = "a" x (128 << 20); print "un", "reached"'
        echo "memory $?"
        setcaps --cgroup cpu=0.1,memory=64M sh -c '
            own=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup); cat $own/cpu.max $own/memory.max
            timeout 2 sh -c "while :; do :; done"; grep nr_throttled $own/cpu.stat'
        ls -d /sys/fs/cgroup/service-limits-*/ | wc -l
        setuidgid log setcaps --cgroup pids=4 true
    """, status=111)
    assert "Cannot fork" in text and "pids 2\n" in text and "unreached" not in text, text
    assert "one child\nown pids 0\n" in text, text
    assert "memory 137\n" in text, text
    assert "10000 100000\n67108864\n" in text, text
    assert int(text.partition("nr_throttled ")[2].split()[0]) > 5, text
    assert "\n1\nsetcaps: fatal: unable to make a control group in /sys/fs/cgroup: access denied\n" in text, text


def test_a_shutdown_is_announced_and_taken_back(vm):
    text = vm.ssh("""
        exec 2>&1
        shutdown -h +30 so long; test -s /run/shutdown.pid && echo waits; test ! -e /run/nologin && echo open
        shutdown -r +4; until test -s /run/nologin; do sleep 0.1; done; cat /run/nologin
        shutdown -c; ls /run/nologin /run/shutdown.pid
        shutdown -k now only a warning; echo "warned: $?"
        for process in /proc/[0-9]*; do cat $process/comm; done | grep -c shutdown
    """, status=1)
    assert "shutdown: info: power-off in 30 minutes; shutdown -c takes it back\nwaits\nopen\n" in text
    assert "The system is going down for reboot now!\n" in text
    assert text.count("No such file") == 2 and text.endswith("\nwarned: 0\n0\n"), text


def test_who_is_here(vm):
    """Somebody with a terminal is in the records that who(1) and last(1) read, and gone from them afterwards."""
    command = vm.ssh_command("who; last | head -n 1")
    result = subprocess.run([command[0], "-tt", *command[1:]], capture_output=True, timeout=PATIENCE, text=True,
                            stdin=subprocess.DEVNULL)
    assert result.stdout.count("root     pts/0") == 2 and "still logged in" in result.stdout, result
    assert vm.ssh("until ! who | grep -q pts/; do sleep 0.1; done; last | head -n 1").startswith("root     pts/0")


def test_reboot_keeps_what_was_written(vm):
    """With a full disk too, with which the machine also comes up."""
    idle = subprocess.Popen(vm.ssh_command("echo here; sleep 1000"), stdout=subprocess.PIPE)
    assert idle.stdout.readline() == b"here\n"
    vm.ssh_last("""
        echo kept > /root/kept
        fallocate -l "$(($(stat -f -c '%a * %S' /) - 1000000))" /root/full; cat /dev/zero > /root/rest 2> /dev/null
        ! head -c 100000 /dev/zero > /root/more 2> /dev/null || exit
        (sleep 1; date +now:%s.%N; reboot) > /dev/console 2>&1 < /dev/null &
    """)
    vm.wait_text(r"now:[\d.]+\n")
    began = time.monotonic()
    idle.wait(PATIENCE)
    # The client learns of the end by its connection's, and does not hang until it times out.
    took = time.monotonic() - began
    vm.wait_text("Restarting system")
    vm.text = ""
    vm.wait_login()
    assert vm.ssh("cat /root/kept; df --output=avail / | tail -n 1; last -x | grep -c shutdown;"
                  " test -e /var/lib/apus/random-seed || echo used;"
                  " rm /root/full /root/rest /root/more").split() == ["kept", "0", "1", "used"]
    assert took < 1, took


def test_poweroff_keeps_what_was_written(vm):
    vm.ssh_last("mkdir /mnt/a && mount -t tmpfs a /mnt/a && mkdir /mnt/a/b && mount --bind /var /mnt/a/b"
           " && cd /mnt/a/b && echo last > /root/last; shutdown -h now")
    vm.wait_exit()
    vm.assert_clean()
    assert vm.debugfs("cat /root/last") == b"last\n"
    assert vm.debugfs("cat /root/kept") == b"kept\n"
    # A log that was cut off, as the one of the logger that was killed above.
    assert vm.debugfs("ls /var/log/sshd").count(b".u ") == 1
    assert b"random-seed" in vm.debugfs("ls /var/lib/apus")
