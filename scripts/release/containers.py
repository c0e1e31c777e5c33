#!/usr/bin/env python3
"""In place of Docker in a rehearsal (as root, on Linux), for what start-test.sh asks of it: pulls images by digest from their
registry with crane, and starts them as their user in a file system of their own that holds nothing else.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

HOME = os.path.join(os.environ["REHEARSAL"], "containers")


def fail(text):
    sys.exit(f"docker: {text}")


def image_folder(reference):
    return os.path.join(HOME, "images", reference.replace("/", "_").replace(":", "_"))


def pull(reference):
    folder = image_folder(reference)
    if not os.path.exists(os.path.join(folder, "whole")):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(os.path.join(folder, "root"))
        config = subprocess.run(["crane", "config", "--insecure", reference], check=True, capture_output=True).stdout
        with open(os.path.join(folder, "config.json"), "wb") as out:
            out.write(config)
        export = subprocess.Popen(["crane", "export", "--insecure", reference, "-"], stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", os.path.join(folder, "root")], stdin=export.stdout, check=True)
        if export.wait() != 0:
            fail(f"{reference} can't be pulled")
        open(os.path.join(folder, "whole"), "w").close()
    return folder


def config_of(reference):
    with open(os.path.join(pull(reference), "config.json"), encoding="utf-8") as opened:
        return json.load(opened)["config"]


def run(words):
    name, detach, env, tmpfs, volumes, read_only, remove = "c", False, {}, [], [], False, False
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option in ("--detach", "--rm", "--read-only"):
            detach, remove, read_only = detach or option == "--detach", remove or option == "--rm", read_only or option == "--read-only"
            continue
        value = words.pop(0)
        if option == "--name":
            name = value
        elif option == "--env":
            key, _, text = value.partition("=")
            env[key] = text
        elif option == "--env-file":
            with open(value, encoding="utf-8") as lines:
                env.update(line.rstrip("\n").split("=", 1) for line in lines if "=" in line)
        elif option == "--tmpfs":
            tmpfs.append(value)
        elif option == "--volume":
            volumes.append(value.split(":"))
        elif option not in ("--network", "--cap-drop", "--security-opt"):
            fail(f"no option {option}")
    reference, arguments = words[0], words[1:]
    folder, config = pull(reference), config_of(reference)
    here = os.path.join(HOME, "running", name)
    shutil.rmtree(here, ignore_errors=True)
    root = os.path.join(here, "root")
    os.makedirs(root)
    environment = dict(item.split("=", 1) for item in config.get("Env") or []) | env
    command = (config.get("Entrypoint") or []) + (arguments or config.get("Cmd") or [])
    steps = [f"mount --bind '{folder}/root' '{root}'"]
    if not read_only:
        shutil.rmtree(root)
        shutil.copytree(os.path.join(folder, "root"), root, symlinks=True)
        steps = [f"mount --bind '{root}' '{root}'"]
    # Mount points have to be there before it can't be written any more.
    places = ["proc", "dev"] + [t.split(":")[0].strip("/") for t in tmpfs] + [v[1].strip("/") for v in volumes]
    for place in places:
        os.makedirs(os.path.join(folder if read_only else here, "root", place), exist_ok=True)
    steps += [f"mount --rbind /dev '{root}/dev'", f"mount -t proc proc '{root}/proc'"]
    steps += [f"mount -t tmpfs -o mode=1777 tmpfs '{root}/{t.split(':')[0].strip('/')}'" for t in tmpfs]
    steps += [f"mount --bind '{v[0]}' '{root}/{v[1].strip('/')}'" for v in volumes]
    if read_only:
        steps.append(f"mount -o remount,bind,ro '{root}'")
    user = config.get("User") or "0:0"
    # Away from what started it: env -i, so that nothing of this machine's environment is in it.
    words = " ".join("'" + w.replace("'", "'\\''") + "'" for w in
                     ["env", "-i"] + [f"{k}={v}" for k, v in environment.items()])
    with open(os.path.join(here, "start"), "w", encoding="utf-8") as script:
        script.write("set -e\n" + "\n".join(steps) + f"\nexec setpriv --no-new-privs --bounding-set=-all,+setuid,+setgid,+sys_chroot "
                     f"{words} {shutil.which('chroot')} --userspec={user} '{root}' " + " ".join("'" + c.replace("'", "'\\''") + "'" for c in command) + "\n")
    log = open(os.path.join(here, "log"), "wb")
    started = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "bash", os.path.join(here, "start")],
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    with open(os.path.join(here, "pid"), "w", encoding="utf-8") as out:
        out.write(str(started.pid))
    if detach:
        print(name)
        return
    code = started.wait()
    with open(os.path.join(here, "log"), "rb") as said:
        sys.stdout.buffer.write(said.read())
    if remove:
        shutil.rmtree(here, ignore_errors=True)
    sys.exit(code)


def running(name):
    try:
        with open(os.path.join(HOME, "running", name, "pid"), encoding="utf-8") as opened:
            pid = int(opened.read())
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return pid if stat.read().rsplit(")", 1)[1].split()[0] != "Z" else None
    except (OSError, ValueError):
        return None


def main():
    words = sys.argv[1:]
    verb = words.pop(0) if words else ""
    if verb == "pull":
        print(pull(words[-1]))
    elif verb == "image" and words[0] == "inspect":
        print(config_of(words[-1]).get("User", ""))
    elif verb == "run":
        run(words)
    elif verb == "inspect":
        print("true" if running(words[-1]) else "false")
    elif verb == "logs":
        with open(os.path.join(HOME, "running", words[-1], "log"), "rb") as said:
            sys.stdout.buffer.write(said.read())
    elif verb == "rm":
        pid = running(words[-1])
        if pid:
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(pid, number)
                except ProcessLookupError:
                    break
                end = time.time() + 10
                while running(words[-1]) and time.time() < end:
                    time.sleep(0.1)
        shutil.rmtree(os.path.join(HOME, "running", words[-1]), ignore_errors=True)
    else:
        fail(f"the stand-in doesn't know {verb}")


main()
