"""Runs a command on a pseudo-terminal of a given size, and prints all that it showed there as JSON.

on_terminal.py COLUMNS ROWS SECONDS SEND_AFTER SEND COMMAND...: types SEND (with escapes) once SEND_AFTER was shown.
"""
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

columns, rows, seconds, after, send, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    # Until the size is set.
    sys.stdin.readline()
    os.execvp(command[0], command)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))
attributes = termios.tcgetattr(terminal)
attributes[3] &= ~termios.ECHO
termios.tcsetattr(terminal, termios.TCSANOW, attributes)
os.write(terminal, b"\n")
shown, sent, deadline = b"", False, time.time() + float(seconds)
while time.time() < deadline:
    ready, _, _ = select.select([terminal], [], [], 0.1)
    if ready:
        try:
            some = os.read(terminal, 65536)
        except OSError:
            break
        if not some:
            break
        shown += some
    if send and not sent and after.encode() in shown:
        sent = True
        os.write(terminal, send.encode().decode("unicode_escape").encode())
else:
    os.kill(pid, signal.SIGKILL)
_, status = os.waitpid(pid, 0)
code = os.waitstatus_to_exitcode(status)
print(json.dumps({"code": code, "shown": shown.decode("utf-8", "replace").replace("\r\n", "\n")}))
