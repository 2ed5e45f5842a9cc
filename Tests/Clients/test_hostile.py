"""Twenty thousand requests that mean harm: the server stays what it is."""

import os
import threading
import traceback
from collections import Counter

from hostile import Client
from server import wait_for

COUNT, SEED, THREADS = 20_000, 1, 8
# So much may memory grow behind the first quarter: what the allocator does not give back.
MEBIBYTES = 48
PROBE = {"prompt": "/// The sum", "max_tokens": 16, "seed": 3, "logprobs": 2}


def memory(pid):
    """Resident memory in MiB."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


def attack(port, numbers):
    """Sends the requests of these numbers from several threads: how often each status was answered, and what was wrong."""
    statuses, faults, lock = Counter(), [], threading.Lock()
    left = iter(numbers)

    def work():
        client = Client(port)
        while True:
            with lock:
                number = next(left, None)
            if number is None or len(faults) > 20:
                break
            try:
                status = client.attack(number, SEED)
                with lock:
                    statuses[status] += 1
            except Exception:
                client.close()
                with lock:
                    faults.append(f"request {number}: {traceback.format_exc(limit=-2)}")
        client.close()

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses, faults


def test_hostile_requests(server):
    # What is left behind of any request would keep the server from its end.
    attacked = server("--context", "256", "--cache-memory", "0", "--drain", "3600")
    port = int(attacked.url.rsplit(":", 1)[1])
    answer = attacked.post("/v1/completions", PROBE)["choices"]
    descriptors = lambda: len(os.listdir(f"/proc/{attacked.pid}/fd"))
    open_before = descriptors()

    statuses, faults = attack(port, range(COUNT // 4))
    attacked.wait_until_idle()
    before = memory(attacked.pid)
    more, more_faults = attack(port, range(COUNT // 4, COUNT))
    statuses, faults = statuses + more, faults + more_faults
    print(statuses)
    assert not faults, "\n".join(faults[:5])
    # They were neither all refused nor all taken.
    assert statuses[200] > COUNT / 20 and statuses[400] > COUNT / 5, statuses

    attacked.wait_until_idle()
    assert attacked.process.poll() is None
    wait_for(lambda: attacked.get("/foretoken/status")["connections"] == 1, "connections stay open")
    wait_for(lambda: descriptors() <= open_before + 1, "descriptors stay open")
    assert memory(attacked.pid) < before + MEBIBYTES
    assert attacked.post("/v1/completions", PROBE)["choices"] == answer
