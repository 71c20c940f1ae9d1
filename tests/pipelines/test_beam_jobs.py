import pytest

pytest.importorskip("apache_beam")
import apache_beam as beam  # noqa: E402

from style_transfer.pipelines import beam_jobs  # noqa: E402


class Square(beam.DoFn):
    def process(self, item):
        yield {"item": item, "square": item * item}


@pytest.mark.parametrize("options", ["", "--direct_num_workers=1"])
def test_rows_are_the_works(tmp_path, options):
    rows = beam_jobs.run(range(5), Square(), str(tmp_path / "report"), runner="directrunner",
                         pipeline_options=options)
    assert sorted(row["square"] for row in rows) == [0, 1, 4, 9, 16]


def test_a_job_is_one_chain_and_asks_for_no_metrics(tmp_path, monkeypatch):
    """Beam's Dask runner computes the last step alone and has no metrics."""
    from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner

    class Poor(BundleBasedDirectRunner):
        def run_pipeline(self, pipeline, options):
            nodes = []

            class Visitor(beam.pipeline.PipelineVisitor):
                def visit_transform(self, node):
                    nodes.append(node)

            pipeline.visit(Visitor())
            taken = {id(value) for node in nodes for value in node.inputs}
            taken |= {id(side.pvalue) for node in nodes for side in node.side_inputs}
            ends = [node.full_label for node in nodes
                    if not any(id(value) in taken for value in node.outputs.values())]
            assert len(ends) == 1, ends
            result = super().run_pipeline(pipeline, options)
            result.metrics = None
            return result

    monkeypatch.setattr(beam_jobs, "_runner_class", lambda name: Poor)
    rows = beam_jobs.run(range(3), Square(), str(tmp_path / "report"), runner="PoorRunner")
    assert sorted(row["square"] for row in rows) == [0, 1, 4]


@pytest.mark.parametrize(("runner", "options", "message"), [
    ("Flank", "", "--runner=Flank is unknown; choose one of DirectRunner, DaskRunner"),
    ("nowhere.Runner", "", "cannot be imported"),
    ("DirectRunner", "--projet=x --region=y", "what Beam does not know: --projet"),
    ("DirectRunner", "region=y", "what Beam does not know: region=y")])
def test_runners_and_options_that_are_unknown_are_errors(tmp_path, runner, options, message):
    with pytest.raises(ValueError, match=message):
        beam_jobs.run([1], Square(), str(tmp_path / "report"), runner=runner,
                      pipeline_options=options)


def test_the_users_options_win():
    def made(text, num_workers):
        return beam_jobs._options("DirectRunner", text, num_workers).get_all_options()

    assert made("", 3)["direct_num_workers"] == 3
    assert made("--direct_num_workers=2", 3)["direct_num_workers"] == 2
    assert made("--default_sdk_harness_log_level=INFO", 1)[
        "default_sdk_harness_log_level"] == "INFO"
