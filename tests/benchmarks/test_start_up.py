"""What a start is divided into."""

from benchmarks import start_up
from benchmarks.tools.started_command import MARKS, Clock


def test_marks_stay_where_they_were_first_met_and_programs_are_counted():
    clock = Clock()
    clock.listen('/jax/core/compile/jaxpr_trace_duration', 1.0)
    clock.listen('/jax/core/compile/jaxpr_to_mlir_module_duration', 2.0)
    clock.listen('/jax/core/compile/backend_compile_duration', 3.0)
    work = clock.marked(
        lambda: clock.listen('/jax/core/compile/backend_compile_duration', 1.0), 'a', 'b'
    )
    work()
    work()
    assert [clock.marks[name]['programs'] for name in 'ab'] == [1, 2]
    assert [clock.marks[name]['compilation'] for name in 'ab'] == [5.0, 6.0]


def test_parts_add_up_to_the_whole():
    run = {
        mark: {'cpu': 1.0 + i**2, 'wall': 2.0 * i, 'programs': i, 'compilation': 0.1 * i}
        for i, mark in enumerate(MARKS)
    }
    of = start_up.summarised([{**run, 'within': {'pictures': 0.5}}])
    medians = [of['cpu'][mark]['median'] for mark in MARKS]
    assert sum(medians) == of['to the end']['cpu']['median'] == 17.0
    assert of['to the first step']['wall']['median'] == 6.0
    assert of['programs'] == {'to the first step': 3, 'to the end': 4}
