"""Control groups of version 2 with all controllers, as a machine has them: what limits programs, and ends services."""

import pytest

from machines import machine, written

# One worker has the machine, and runs the tests in their order.
pytestmark = pytest.mark.xdist_group("groups")

# A run that does not become its program: what it starts leaves session and parent, and minds no signal but KILL.
LEAVING = """#!/usr/bin/perl
use POSIX;
unless (fork) {
    setsid(); exit if fork;
    $SIG{$_} = "IGNORE" for qw(TERM HUP INT CONT);
    $0 = "left-behind"; sleep 1000 while 1;
}
open(F, ">>", "/run/starts"); print F "$$\\n"; close(F);
sleep 1000 while 1;
"""
GREEDY = """#!/usr/bin/perl
sleep 1 until -e "/run/" . shift;
$x = "a" x (128 << 20);
sleep 1000 while 1;
"""
# The same as a child of what is supervised.
PARENT = """#!/bin/sh
/root/greedy parent
echo "its child ended with $?" > /run/parent-saw
exec sleep 100000
"""
SERVICES = {
    "leaving": ("stop-reach everything\nrestart-delay 10ms\n", "exec /root/leaving"),
    "limited": ("stop-reach everything\nrestart-delay 10ms\n",
                "exec setcaps --cgroup pids=6,memory=48M,cpu=0.5 /root/leaving"),
    # Here the machine's count of kills tells of it, there that of its own group.
    "greedy": ("restart never\n", "exec setcaps --cgroup memory=32M /root/greedy greedy"),
    "grouped": ("restart never\nstop-reach everything\n", "exec setcaps --cgroup memory=32M /root/greedy grouped"),
    "parent": ("stop-reach everything\n", "exec setcaps --cgroup memory=32M /root/parent"),
}


@pytest.fixture(scope="module")
def vm(tmp_path_factory):
    directory = tmp_path_factory.mktemp("groups")
    files = {"/root/leaving": LEAVING, "/root/greedy": GREEDY, "/root/parent": PARENT}
    for name, (settings, run) in SERVICES.items():
        files[f"/service/{name}/settings"] = settings
        files[f"/service/{name}/run"] = f"#!/bin/sh\n{run}\n"
    with machine(directory, change=written(directory, files)) as running:
        running.wait_login()
        yield running


# Waits until a service, the first word, has started so many times, the second, with what it leaves behind.
FAMILY = """
wait_family() {
    group=/sys/fs/cgroup/service-$1-1
    until [ "$(svstat /service/$1 | grep -c '^[^ ]*: up (pid ')" = 1 ] &&
        [ "$(cat $(find $group -name cgroup.procs) | wc -l)" = 2 ]; do sleep 0.1; done
    pid=$(svstat /service/$1 | sed 's/.*(pid \\([0-9]*\\)).*/\\1/')
}
"""


def test_what_a_run_leaves_behind_ends_with_it(vm):
    text = vm.ssh(FAMILY + """
        wait_family leaving; svc -d /service/leaving; svwait -t 60 down /service/leaving && echo down
        grep populated $group/cgroup.events; svc -u /service/leaving
        wait_family leaving; first=$pid; svc -k /service/leaving
        until wait_family leaving; [ $pid != $first ]; do sleep 0.1; done; echo again
        svc -d /service/leaving; svwait -t 60 down /service/leaving; cat $(find $group -name cgroup.procs) | wc -l
    """)
    assert text == "down\npopulated 0\nagain\n0\n", text


def test_limits_in_the_group_of_a_service(vm):
    """They hold at each start, and what was made for an earlier one is removed."""
    text = vm.ssh(FAMILY + """
        for count in 1 2 3; do
            wait_family limited
            own=/sys/fs/cgroup$(cut -d: -f3 /proc/$pid/cgroup)
            cat $own/pids.max $own/memory.max $own/cpu.max
            svc -t /service/limited
            until [ "$(svstat /service/limited | grep -c "(pid $pid)")" = 0 ]; do sleep 0.1; done
        done
        wait_family limited; [ $(find $group -name 'service-limits-*' | wc -l) -le 2 ] && echo removed
        svc -d /service/limited; svwait -t 60 down /service/limited; cat $(find $group -name cgroup.procs) | wc -l
    """)
    assert text == "6\n50331648\n50000 100000\n" * 3 + "removed\n0\n", text
    assert "limited" not in vm.text.partition(" login: ")[2], vm.text[-3000:]


@pytest.mark.parametrize("name", ["greedy", "grouped"])
def test_the_kernel_kills_for_lack_of_memory(vm, name):
    """A service with a limit of its own, and nothing else; whoever looks learns why."""
    text = vm.ssh(f"""
        before=$(svstat /service/sshd | cut -d' ' -f1-4); touch /run/{name}
        until svls --check {name} 2>&1 | grep "out of memory"; do sleep 0.1; done
        [ "$(svstat /service/sshd | cut -d' ' -f1-4)" = "$before" ] && echo others run on
    """)
    assert text == f"svls: {name}: failed, out of memory\nothers run on\n", text
    vm.wait_text(f"init: warning: {name} has failed, .*: it was killed by the kernel, for lack of memory")


def test_a_child_that_is_killed_for_lack_of_memory(vm):
    """The service itself goes on, and its end later is as it was."""
    text = vm.ssh("""
        touch /run/parent; until [ -s /run/parent-saw ]; do sleep 0.1; done; cat /run/parent-saw; rm /run/parent
        svstat /service/parent; kill -SEGV $(svstat /service/parent | sed 's/.*(pid \\([0-9]*\\)).*/\\1/')
    """)
    assert text.startswith("its child ended with 137\n/service/parent: up (pid "), text
    vm.wait_text("init: warning: parent was ended by signal 11 after")


def test_each_connection_has_limits(vm):
    """tcpserver gives each of its programs a group; those of earlier ones are removed."""
    text = vm.ssh("""
        exec 2>&1
        tcpserver -RHl0 --child-cgroup memory=24M,pids=3 127.0.0.1 7007 sh -c '
            cat /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/pids.max
            perl -e "\\$x = qq(a) x (64 << 20)"; echo "memory $?"
            for count in 1 2 3; do sleep 1 > /dev/null & done; echo unreached' &
        server=$!; until grep -q :1B5F /proc/net/tcp; do sleep 0.1; done
        for count in 1 2 3 4 5 6; do tcpclient -RHl0 127.0.0.1 7007 sh -c 'cat <&6' & clients="$clients $!"; done
        wait $clients
        kill $server; wait $server
        while grep -q "populated 1" /sys/fs/cgroup/service-limits-*/cgroup.events; do sleep 0.1; done
        setcaps --cgroup pids=4 true; ls -d /sys/fs/cgroup/service-limits-* | wc -l
    """)
    assert text.count("3\n") >= 6 and text.count("memory 137\n") == text.count("Cannot fork") == 6, text
    # Its own.
    assert text.endswith("\n1\n") and "unreached" not in text, text


def test_nothing_of_it_holds_up_the_end(vm):
    vm.ssh_last("svc -u /service/leaving /service/limited; svwait -t 60 up /service/leaving /service/limited; poweroff")
    vm.wait_exit()
    assert "Power down" in vm.text
    vm.assert_clean()
