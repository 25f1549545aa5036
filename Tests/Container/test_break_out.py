"""What somebody tries who has a session of root's over ssh and wants process 1 to run something for him
unconfined. Whatever of the container a session may not change is compared before and after."""

import pytest

from apus import landlock_version, wait_for

SSHD, LOG = "/service/sshd", "/service/sshd/log"
POWERS = ["SYS_ADMIN", "SYS_PTRACE"]
# All that process 1 and its services read, execute or take commands from.
GUARDED = "/service /var/service /run /etc /usr /opt /srv /boot"
PICTURE = (f"cd / && find {GUARDED} -not -path '*/supervise/status' -not -path '/run/supervise-*/status' "
           "-printf '%p %y %m %U %T@ %l\\n' | sort | sha256sum; "
           f"find {GUARDED} -type f -not -name status -not -name 'status.*' -exec cat {{}} + | sha256sum")
# Leaves a mark outside of what sessions may write.
EVIL = "'#!/bin/sh\\ntouch /etc/broken-out\\nexec sleep 1000\\n'"

pytestmark = pytest.mark.skipif(landlock_version() < 5, reason="the kernel's Landlock restricts less")


@pytest.fixture(scope="module")
def box(start_for_module, key):
    """sshd as shipped, in a container that has been given more than usual, and rules without limits."""
    container = start_for_module(capabilities=POWERS, seccomp=False,
                                 volumes=[(f"{key}.pub", "/root/.ssh/authorized_keys")])
    container.write("/etc/tcp.ssh", ":allow\n")
    container.run("make", "-C", "/etc/tcp")
    container.run("useradd", "--create-home", "--password", "*", "--shell", "/bin/sh", "guest")
    wait_for(lambda: container.ssh(key, "true").returncode == 0, "a login", 30)
    return container


# name -> what is tried; it must fail, and be refused, not miss something.
ATTEMPTS = {
    "a new service": "mkdir /service/evil",
    "a new service beside": "mkdir /var/service/evil",
    "a link to a service in /tmp": f"mkdir -p /tmp/evil && printf {EVIL} > /tmp/evil/run && chmod 755 /tmp/evil/run && "
                                   "ln -s /tmp/evil /service/evil",
    "a directory moved there": "mkdir -p /tmp/moved && mv -T /tmp/moved /service/moved",
    "a run file written": f"printf {EVIL} > /service/sshd/run",
    "a run file appended to": "echo touch /etc/broken-out >> /var/service/sshd/run",
    "a run file replaced": f"printf {EVIL} > /tmp/run && chmod 755 /tmp/run && mv -f /tmp/run /var/service/sshd/run",
    "a run file removed": "rm -f /var/service/sshd/run",
    "a run file truncated": "perl -e 'truncate q(/var/service/sshd/run), 0 or die $!'",
    "a run file linked to where it can be written": "ln /var/service/sshd/run /tmp/linked",
    "a log's run file": "echo touch /etc/broken-out >> /service/sshd/log/run",
    "a file down": "touch /service/sshd/down",
    "a service switched off": "rm /service/sshd",
    # svc warns, as the original does, and ends with 0.
    "svc": "svc -d /service/sshd; exit 1",
    "svc to the log": "svc -k /service/sshd/log; exit 1",
    "the control FIFO": "printf d > /run/supervise-sshd/control",
    "the control FIFO of the log": "printf x > /service/sshd/log/supervise/control",
    "the status": "printf x >> /run/supervise-sshd/status",
    "the lock": "printf x >> /run/supervise-sshd/lock",
    "another FIFO": "mkfifo /run/supervise-sshd/other",
    "a supervise directory": "mkdir /run/supervise-evil",
    "the rules": "echo ':allow' >> /etc/tcp.ssh",
    "the compiled rules": "tcprules /etc/tcp.ssh.cdb /tmp/cdb < /etc/tcp.ssh",
    "the limit": "echo 1 > /etc/tcp.ssh.limit",
    "the list of what can be written": "echo / >> /etc/sshd.writable",
    "the filter's policy": "echo '@default: allow' > /etc/seccomp/sshd.policy",
    "the logger's policy": "printf '' > /etc/seccomp/multilog.policy",
    "the binary": "cp /bin/true /tmp/apus && mv -f /tmp/apus /usr/bin/apus",
    "the shell": "cp /tmp /bin/sh 2> /dev/null; cat /bin/true > /bin/sh",
    "a program found earlier": f"printf {EVIL} > /usr/local/sbin/multilog",
    "a library": "echo /tmp/evil.so > /etc/ld.so.preload",
    "an account": "echo 'evil::0:0::/:/bin/sh' >> /etc/passwd",
    "sshd's configuration": "echo PermitEmptyPasswords yes >> /etc/ssh/sshd_config",
    "a host key": "echo x >> /etc/ssh/ssh_host_ed25519_key",
    "PAM": "echo >> /etc/pam.d/sshd",
    "by process 1's root": "mkdir /proc/1/root/service/evil",
    "by process 1's directory": "mkdir /proc/1/cwd/evil",
    "by process 1's memory": "printf x | dd of=/proc/1/mem conv=notrunc status=none",
    "by process 1's environment": "cat /proc/1/environ",
    "by process 1's descriptors": "ls -l /proc/1/fd/",
    "by the logger's root": "mkdir /proc/$(pgrep -o multilog)/root/service/evil",
    "by the logger's output": "u=$(id -u log) perl -e '$< = $> = $ENV{u}; $> == $ENV{u} or die; "
                              "open F, q(>>), q(/var/log/sshd/current) or die $!'",
    "the log removed": "u=$(id -u log) perl -e '$< = $> = $ENV{u}; unlink q(/var/log/sshd/current) or die $!'",
    "the kernel's core pattern": "echo '|/tmp/evil/run' > /proc/sys/kernel/core_pattern",
    "the kernel's settings": "cat /proc/sys/fs/nr_open > /tmp/value; cat /tmp/value > /proc/sys/fs/nr_open",
    "a device": "mknod /tmp/disk b 8 0",
    "a mount": "mount --bind /tmp /service",
    "a mount of tmpfs": "mount -t tmpfs evil /service",
    "a namespace": "unshare --mount true",
    "another's namespace": "nsenter --target 1 --mount true",
    "a root directory of one's own": "chroot / mkdir /service/evil",
    "a root directory further down": "mkdir -p /tmp/jail && perl -e 'chdir q(/); chroot q(/tmp/jail) or die $!; "
                                     "chdir q(..); mkdir q(service/evil) or die $!'",
    "a debugger": "perl -e 'syscall(101, 16, 1, 0, 0) == 0 or die $!'",
    "as another owner": "chown guest /var/service/sshd /var/service/sshd/run; "
                        "perl -e '$< = $> = getpwnam q(guest); open F, q(>>), q(/var/service/sshd/run) or die $!'; "
                        "status=$?; chown root /var/service/sshd /var/service/sshd/run; "
                        "chmod 1755 /var/service/sshd; chmod 755 /var/service/sshd/run; exit $status",
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_a_session_of_root_does_not_break_out(box, key, attempt):
    before = box.run("sh", "-c", PICTURE).stdout
    processes = box.up(SSHD), box.up(LOG)
    result = box.ssh(key, attempt)
    said = result.stderr.lower()
    assert result.returncode not in (0, 255), result
    assert any(word in said for word in ("permission denied", "access denied", "not permitted", "read-only file system",
                                         "cross-device")), result
    assert box.run("sh", "-c", PICTURE).stdout == before
    assert (box.up(SSHD), box.up(LOG)) == processes
    assert not box.path("/etc/broken-out").exists()


def test_the_attempts_would_have_worked(box):
    """Outside of a session the same things do their work, in a copy."""
    script = ("mkdir -p /var/copy && cp -a /service /var/copy && mkdir /var/copy/service/evil && "
              "cp -a /var/service/sshd/run /var/copy/run && echo >> /var/copy/run && echo >> /etc/motd && "
              "test -r /proc/1/environ && ls -l /proc/1/fd/ > /dev/null && rm -r /var/copy")
    result = box.run("sh", "-c", script)
    assert result.returncode == 0, result.stderr


def test_nor_does_a_service_that_is_there_change_hands(box, key):
    """A day later nothing of it has come to life: what process 1 runs is what the image says."""
    box.ssh(key, "; ".join(f"({attempt}) < /dev/null > /dev/null 2>&1" for name, attempt in ATTEMPTS.items()
                           if "owner" not in name and "descriptor" not in name))
    for service in (SSHD, LOG):
        pid = box.wait_up(service)
        box.run("svc", "-t", service)
        box.wait_up(service, other_than=pid, seconds=20)
    wait_for(lambda: box.ssh(key, "true").returncode == 0, "a login")
    assert not box.path("/etc/broken-out").exists()
    assert [line.split()[0] for line in box.run("svls").stdout.splitlines()] == ["service", "sshd", "sshd/log"]


def test_an_ordinary_user_does_not_either(box, key):
    box.run("sh", "-c", "mkdir -pm 700 ~guest/.ssh && cat > ~guest/.ssh/authorized_keys && "
            "chown -R guest: ~guest/.ssh", input=open(f"{key}.pub").read())
    for attempt in ("mkdir /service/evil", "svc -d /service/sshd; exit 1", "printf x > /run/supervise-sshd/control"):
        result = box.ssh(key, attempt, user="guest")
        assert result.returncode not in (0, 255) and "denied" in result.stderr


def test_what_a_session_is_for_it_can_do(box, key):
    """Its home, temporary files, devices, terminals."""
    result = box.ssh(key, "echo text > ~/file && mv ~/file ~/other && ln ~/other ~/link && rm ~/other ~/link && "
                     "mkdir -p /tmp/a/b && mv /tmp/a/b /tmp/a/c && rm -r /tmp/a && echo > /var/tmp/x && rm /var/tmp/x && "
                     "cp /bin/true ~/program && ~/program && rm ~/program && echo > /dev/null && head -c 4 /dev/zero > /dev/full; "
                     "test $? = 1 && echo done")
    assert result.stdout == "done\n", result
    result = box.ssh(key, "tty; stty -echo && echo > $(tty) && echo ok > /dev/tty", options=["-tt"])
    assert "/dev/pts/" in result.stdout and "ok" in result.stdout, result


def test_nothing_that_a_login_does_is_refused(start, key):
    container = start(volumes=[(f"{key}.pub", "/root/.ssh/authorized_keys")])
    wait_for(lambda: container.ssh(key, "true").returncode == 0, "a login", 30)
    assert "/dev/pts/" in container.ssh(key, "tty", options=["-tt"]).stdout
    wait_for(lambda: container.log().endswith("status: 0/40\n"), "the end of both")
    assert "enied" not in container.log() and "not permitted" not in container.log()


def test_a_path_may_be_added(box, key):
    assert box.ssh(key, "touch /srv/file").returncode != 0
    before = box.path("/etc/sshd.writable").read_text()
    box.write("/etc/sshd.writable", f"{before}/srv\n/nonexistent\n")
    try:
        pid = box.wait_up(SSHD)
        box.run("svc", "-t", SSHD)
        box.wait_up(SSHD, other_than=pid)
        wait_for(lambda: box.ssh(key, "touch /srv/file && rm /srv/file").returncode == 0, "a session that may")
    finally:
        box.write("/etc/sshd.writable", before)


class TestOlderKernels:
    """As a filter on process 1 has it: no such system call."""

    COMMAND = ["/usr/bin/seccomp", "~landlock_create_ruleset:ENOSYS", "/usr/bin/apus", "init"]

    def test_without_landlock_nobody_gets_in(self, start):
        container = start(program=self.COMMAND)
        wait_for(lambda: "setcaps: fatal: Landlock ABI 2 is needed, this kernel offers 0\n" in container.log(),
                 "the reason", 30)

    def test_unless_that_is_wanted(self, start, key):
        container = start(program=self.COMMAND, environment=["LANDLOCK=any"],
                          volumes=[(f"{key}.pub", "/root/.ssh/authorized_keys")])
        wait_for(lambda: container.ssh(key, "touch /srv/file").returncode == 0, "a login", 30)


def test_silent_connections_of_one_address_keep_nobody_else_out(start, key):
    container = start(volumes=[(f"{key}.pub", "/root/.ssh/authorized_keys")])
    wait_for(lambda: "tcpserver: status: 0/40" in container.log(), "tcpserver", 30)
    held = []
    try:
        for _ in range(40):
            held.append(container.connect(22, "127.0.0.2"))
        wait_for(lambda: container.log().count("tcpserver: deny ") >= 1, "the first that is denied")
        result = container.ssh(key, "echo in")
        assert result.stdout == "in\n", result
        assert container.log().count("tcpserver: ok ") <= 11
    finally:
        for connection in held:
            connection.close()


def test_a_login_asks_nothing_of_the_dns(start, key):
    """Of a name server that hears everything and says nothing."""
    container = start(volumes=[(f"{key}.pub", "/root/.ssh/authorized_keys")])
    wait_for(lambda: container.ssh(key, "true").returncode == 0, "a login", 30)
    container.write("/etc/resolv.conf.new", "nameserver 127.0.0.9\n")
    container.run("sh", "-c", "cat /etc/resolv.conf.new > /etc/resolv.conf")
    container.run("sh", "-c", """perl -MSocket -e '
        socket S, AF_INET, SOCK_DGRAM, 0 or die; bind S, sockaddr_in 53, inet_aton "127.0.0.9" or die;
        open F, ">", "/run/asked" or die; $| = 1; select F; $| = 1;
        print "asked\n" while defined recv S, $_, 512, 0' > /dev/null 2>&1 < /dev/null &""")
    wait_for(lambda: container.path("/run/asked").exists(), "the name server")
    pid = container.wait_up(SSHD)
    container.run("svc", "-t", SSHD)
    container.wait_up(SSHD, other_than=pid)
    wait_for(lambda: container.ssh(key, "true").returncode == 0, "a login")
    assert container.path("/run/asked").read_text() == ""
    # It does hear what is asked.
    container.run("sh", "-c", "timeout 1 getent hosts example.com")
    assert container.path("/run/asked").read_text() != ""
