"""The benchmark of the simulator films what it says and books every crop's time on its instrument."""

from benchmarks import simulator
from data_prep.synthetic.captures import Subject, plan_videos
from data_prep.synthetic.sites import DOMAINS


def test_as_many_people_of_all_domains_as_the_crops_need():
    subjects = list(simulator.subjects_for(200, 224))
    planned = [s.frames * len(plan_videos(s.domain_number, s.number)) for s in subjects]
    assert sum(planned) >= 200 > sum(planned[:-1])
    assert [s.domain_number for s in subjects[: len(DOMAINS)]] == list(range(len(DOMAINS)))


def test_time_is_booked_on_instruments_and_people(monkeypatch):
    monkeypatch.setattr(simulator, "plan_videos", lambda *_: [("bona_fide", 0), ("photo", 1), ("pc_screen", 0)])
    cpu, made = simulator.film(Subject(0, 0, 0, "syn_a_000", "train", 32))
    assert made == {"bona_fide": 2, "photo": 2, "pc_screen": 2}
    assert set(cpu) == {*made, simulator.PEOPLE} and min(cpu.values()) > 0
    assert "photo" in simulator.table(cpu, made)
