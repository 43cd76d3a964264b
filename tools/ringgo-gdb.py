# SPDX-License-Identifier: MIT
"""
ringgo-gdb - goroutines in gdb, in a live process or a core file.

    (gdb) source tools/ringgo-gdb.py
    (gdb) info goroutines           all of them: id, state, where, name, creator
    (gdb) info goroutines sleep     those with "sleep" in their line
    (gdb) goroutine 7               backtrace of goroutine 7
    (gdb) goroutine 7 bt full       any form of bt
    (gdb) goroutine 7 info locals   any command, in the innermost frame of 7
    (gdb) goroutine all bt          one after the other

How: sched.stacks knows all slots ever handed out; the record of a goroutine lies at
the top of its slot, as g_of_slot in sched/spawn.c says. A running goroutine is the
stack of its thread. A parked one is stopped at the context in its record: an
unwinder, registered for as long as one command runs, tells gdb that the caller of
the selected thread's frame 0 is that context.

  I1  nothing in the process is written, no function of it is called.
  I2  whatever a command does, the unwinder is off and the thread selected as
      before when it ends.

Rejected: setting $pc and $sp and restoring them afterwards, as Go's script does. It
cannot be done to a core file; and in a thread that gdb stopped inside a system call,
which idle workers are, gdb forgets with $pc that the call is to be restarted: the
program sees an error that does not exist.

Needs the library's debug information (-g, the default of its Makefile).
"""

import gdb
import gdb.unwinder

# sched/spawn.c, include/ringgo/base.h: how a record is placed in its slot.
COLOURS = 16
CACHE_LINE = 64

# pc, sp, fp: what struct coro keeps, everything else is dead at a switch.
REGISTERS = {
    "i386:x86-64": ("rip", "rsp", "rbp"),
    "aarch64": ("pc", "sp", "x29"),
}


def find_sched():
    """The variable `sched` of sched/run.c, not one of the user's."""
    for objfile in gdb.objfiles():
        for symbol in (
            objfile.lookup_global_symbol("sched", gdb.SYMBOL_VAR_DOMAIN),
            objfile.lookup_static_symbol("sched", gdb.SYMBOL_VAR_DOMAIN),
        ):
            if (
                symbol
                and symbol.type.tag == "sched"
                and "stacks" in symbol.type
            ):
                return symbol.value()
    raise gdb.GdbError(
        "no runtime here, or libringgo has no debug information (built without -g)"
    )


def enum_names(enum, prefix):
    """{number: "words"} of an enum such as `enum g_state`."""
    try:
        fields = gdb.lookup_type("enum " + enum).fields()
    except gdb.error:
        return {}
    return {
        f.enumval: f.name[len(prefix) :].lower().replace("_", " ")
        for f in fields
        if f.name.startswith(prefix)
    }


def symbol_of(pc):
    """The function that a return address lies in."""
    if not pc:
        return ""
    block = gdb.block_for_pc(pc - 1)
    while block and not block.function:
        block = block.superblock
    if block:
        return block.function.name
    # No debug information: "main + 12 in section .text of /file".
    text = gdb.execute("info symbol %#x" % (pc - 1), to_string=True)
    return text.split()[0] if " in section " in text else "%#x" % pc


class Goroutine:
    """A copy of what the record says; the record is read once."""

    def __init__(self, gp, states, reasons):
        self.id = int(gp["goid"])
        self.is_system = int(gp["kind"]) == 1
        self.state = states.get(int(gp["state"]), "?")
        self.reason = reasons(int(gp["wait_reason"]))
        self.creator_pc = int(gp["creator_pc"])
        self.creator_id = int(gp["creator_goid"])
        self.context = [int(gp["ctx"][name]) for name in ("pc", "sp", "fp")]
        self.name = ""
        if int(gp["name"]):
            self.name = gp["name"].string(errors="replace")
        self.tid = 0
        if self.state == "running" and int(gp["m"]):
            self.tid = int(gp["m"]["tid"])

    def line(self, is_selected):
        what = self.state
        if what == "waiting" and self.reason:
            what = self.reason
        text = "%s %-6d %-22s" % ("*" if is_selected else " ", self.id, what)
        if self.name:
            text += ' "%s"' % self.name
        if self.is_system:
            text += " (system)"
        creator = symbol_of(self.creator_pc)
        if creator:
            text += " created by %s" % creator
            if self.creator_id:
                text += " in %d" % self.creator_id
        return text.rstrip()


class Runtime:
    """The runtime of the current inferior."""

    def __init__(self):
        self.sched = find_sched()
        self.states = enum_names("g_state", "G_")
        self.reason_words = enum_names("wait_reason", "WAIT_")
        self.record = self.sched["all_ms"]["curg"].type.strip_typedefs()

    def reason(self, number):
        """Go's words, from the library's own table."""
        try:
            return gdb.parse_and_eval(
                "'g_wait_reason_name'::names[%d]" % number
            ).string()
        except gdb.error:
            return self.reason_words.get(number, "?")

    def slots(self):
        for index in range(self.sched["stacks"].type.range()[1] + 1):
            arena = self.sched["stacks"][index]
            shift = int(arena["slot_shift"])
            for c in range(int(arena["nchunks"])):
                chunk = arena["chunks"][c]
                base = int(chunk["base"])
                for i in range(int(chunk["used"])):
                    yield base + (i << shift), 1 << shift

    def record_of(self, slot, size):
        """As g_of_slot does."""
        at = slot + size - slot // size % COLOURS * CACHE_LINE
        at = (at - self.record.target().sizeof) & ~(CACHE_LINE - 1)
        return gdb.Value(at).cast(self.record)

    def goroutines(self):
        for slot, size in self.slots():
            gp = self.record_of(slot, size)
            try:
                state = self.states.get(int(gp["state"]))
                if state in ("idle", "dead"):
                    continue
                if int(gp["stack_hi"]) != int(gp):
                    continue  # being made at this moment
                yield Goroutine(gp.dereference(), self.states, self.reason)
            except gdb.MemoryError:
                continue  # not in the core file: never touched

    def find(self, goid):
        for g in self.goroutines():
            if g.id == goid:
                return g
        raise gdb.GdbError("no goroutine %d: `info goroutines`" % goid)


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class ParkedUnwinder(gdb.unwinder.Unwinder):
    """Frame 0 of one thread was called by a stopped flow: see the file's head."""

    def __init__(self, thread_sp, context, names):
        super().__init__("ringgo-parked")
        self.thread_sp = thread_sp
        self.context = context
        self.names = names

    def __call__(self, frame):
        if int(frame.read_register(self.names[1])) != self.thread_sp:
            return None
        here = frame.read_register(self.names[0])
        # An address below the caller's: else gdb takes the stack for a loop.
        below = gdb.Value(self.context[1] - 16)
        info = frame.create_unwind_info(FrameId(below, here))
        for name, value in zip(self.names, self.context):
            kind = frame.read_register(name).type
            info.add_saved_register(name, gdb.Value(value).cast(kind))
        return info


def registers():
    arch = gdb.selected_frame().architecture().name()
    for known, names in REGISTERS.items():
        if arch.startswith(known):
            return names
    raise gdb.GdbError("goroutines of %s are unknown" % arch)


def is_backtrace(command):
    word = command.split()[0]
    return word in ("bt", "backtrace", "where")


def print_backtrace(command):
    """Without frame 0, the thread's own, which has nothing to do with it; the
    numbers stay, so that `goroutine 7 frame 3` means what bt showed as #3."""
    words = command.split()
    if words[-1].isdigit():
        words[-1] = str(int(words[-1]) + 1)
    gdb.newest_frame().select()
    shown = False
    for line in gdb.execute(" ".join(words), to_string=True).splitlines():
        if line.startswith("#"):
            shown = not line.startswith("#0 ")
        if shown:
            print(line)


def run_parked(g, command):
    gdb.newest_frame().select()
    names = registers()
    thread_sp = int(gdb.newest_frame().read_register(names[1]))
    unwinder = ParkedUnwinder(thread_sp, g.context, names)
    gdb.unwinder.register_unwinder(None, unwinder, replace=True)
    gdb.invalidate_cached_frames()
    try:
        if is_backtrace(command):
            print_backtrace(command)
        else:
            gdb.newest_frame().older().select()
            gdb.execute(command)
    finally:
        gdb.frame_unwinders.remove(unwinder)
        gdb.invalidate_cached_frames()


def run_running(g, command):
    for thread in gdb.selected_inferior().threads():
        if thread.ptid[1] == g.tid:
            thread.switch()
            gdb.execute(command)
            return
    raise gdb.GdbError("the thread %d of goroutine %d is gone" % (g.tid, g.id))


def run_command(g, command):
    former = gdb.selected_thread()
    if not former:
        raise gdb.GdbError("the program is not being run")
    level = gdb.selected_frame().level()
    try:
        if g.state == "running":
            run_running(g, command)
        else:
            run_parked(g, command)
    finally:
        former.switch()
        gdb.execute("frame %d" % level, to_string=True)


class InfoGoroutines(gdb.Command):
    """List all goroutines: info goroutines [WORD].
With a word, those that have it in their line. * marks the current thread's."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STACK)

    def invoke(self, word, _from_tty):
        thread = gdb.selected_thread()
        tid = thread.ptid[1] if thread else 0
        for g in sorted(Runtime().goroutines(), key=lambda g: g.id):
            line = g.line(g.tid != 0 and g.tid == tid)
            if word in line:
                print(line)


class GoroutineCommand(gdb.Command):
    """Run a command in a goroutine: goroutine ID|all [COMMAND].
The command is bt when none is given."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK)

    def invoke(self, words, _from_tty):
        goid, _, command = words.strip().partition(" ")
        command = command.strip() or "bt"
        if goid == "all":
            for g in sorted(Runtime().goroutines(), key=lambda g: g.id):
                print("\n" + g.line(False).strip())
                try:
                    run_command(g, command)
                except gdb.error as error:
                    print(error)
            return
        try:
            number = int(goid, 10)
        except ValueError:
            raise gdb.GdbError("goroutine ID|all [COMMAND]") from None
        run_command(Runtime().find(number), command)


InfoGoroutines()
GoroutineCommand()
