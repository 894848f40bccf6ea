"""The corpora's layouts in miniature, file by file as their publishers ship them; the files are empty."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

SWAPS = (
    "fsgan",
    "faceswap",
    "simswap",
    "inswap",
    "blendface",
    "uniface",
    "mobileswap",
    "e4s",
    "facedancer",
)
REENACTMENTS = (
    "fomm",
    "facevid2vid",
    "wav2lip",
    "MRAA",
    "one_shot_free",
    "pirender",
    "tpsm",
    "lia",
    "danet",
    "sadtalker",
    "mcnet",
    "hyperreenact",
)


def touch(root: Path, paths: Iterable[str]) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def celeb_df(root: Path) -> None:
    touch(root, (f"Celeb-real/id{i}_0000.mp4" for i in range(4)))
    touch(root, (f"YouTube-real/0000{i}.mp4" for i in range(2)))
    touch(root, ("Celeb-synthesis/id0_id1_0000.mp4", "Celeb-synthesis/id2_id3_0000.mp4"))
    listed = (
        "1 Celeb-real/id2_0000.mp4\n1 YouTube-real/00001.mp4\n0 Celeb-synthesis/id2_id3_0000.mp4\n"
    )
    write(root, "List_of_testing_videos.txt", listed)


def dfdc(root: Path) -> None:
    for part, names in (("0", "ab"), ("49", "cd")):
        folder = f"train/dfdc_train_part_{part}"
        real, fake = (f"{name * 10}.mp4" for name in names)
        entries = {
            real: {"label": "REAL", "split": "train"},
            fake: {"label": "FAKE", "split": "train", "original": real},
        }
        write(root, f"{folder}/metadata.json", json.dumps(entries))
        touch(root, (f"{folder}/{name}" for name in entries))
    write(root, "validation/labels.csv", "filename,label\n4000.mp4,1\n4001.mp4,0\n")
    touch(root, ("validation/4000.mp4", "validation/4001.mp4"))
    write(root, "test/labels.csv", "filename,label\neeeeeeeeee.mp4,1\nffffffffff.mp4,0\n")
    told = {"eeeeeeeeee.mp4": {"is_fake": 1}, "ffffffffff.mp4": {"is_fake": 0}}
    write(root, "test/metadata.json", json.dumps(told))
    touch(root, (f"test/{name}" for name in told))


FAKEAVCELEB_METHODS = {
    "RealVideo-RealAudio": ("real",),
    "RealVideo-FakeAudio": ("rtvc",),
    "FakeVideo-RealAudio": ("faceswap", "fsgan", "wav2lip"),
    "FakeVideo-FakeAudio": ("faceswap-wav2lip", "fsgan-wav2lip", "wav2lip"),
}


def fakeavceleb(root: Path, people: int = 40) -> None:
    """Each of `people` in every kind and method; the last line repeats one under another method."""
    lines = ["source,target1,target2,method,category,type,race,gender,path,"]
    for number in range(people):
        who = f"id{number:05d}"
        race = ("African", "Asian")[number // 2 % 2]
        gender = ("men", "women")[number % 2]
        for kind, methods in FAKEAVCELEB_METHODS.items():
            for method in methods:
                name = f"00109_{method}.mp4"
                folder = f"{kind}/{race}/{gender}/{who}"
                lines.append(
                    f"{who},-,-,{method},A,{kind},{race},{gender},{name},FakeAVCeleb/{folder}"
                )
                touch(root, (f"{folder}/{name}",))
    lines.append(lines[-1].replace(",wav2lip,", ",faceswap-wav2lip,"))
    write(root, "meta_data.csv", "\n".join(lines) + "\n")


def forgerynet(root: Path) -> None:
    lists = {
        "Training": [
            "0 train_video_release/16/aa/v0.mp4 0 0 0",
            "1 train_video_release/1/bb/v1.mp4 10 30 1 1 2 1",
            "2 train_video_release/3/cc/v2.mp4 0 9 1 40 12 1 1 1 8",
            "1 train_video_release/9/cc/v3.mp4 0 9 1 1 1 11",
        ],
        "Validation": [
            "0 val_video_release/17/dd/v4.mp4 0 0 0",
            "1 val_video_release/5/ee/v5.mp4 0 9 1 1 1 10",
        ],
        "Test": [
            "0 test_video_release/18/ff/v6.mp4 0 0 0",
            "1 test_video_release/2/gg/v7.mp4 0 9 1 1 1 3",
        ],
    }
    for folder, lines in lists.items():
        write(root, f"{folder}/video_list.txt", "\n".join(lines) + "\n")
        touch(root, (f"{folder}/video/{line.split()[1]}" for line in lines))


def df40(root: Path) -> None:
    listed = (
        "1 Celeb-real/id2_0000.mp4\n1 YouTube-real/00001.mp4\n0 Celeb-synthesis/id2_id3_0000.mp4\n"
    )
    write(root, "Celeb-DF-v2/List_of_testing_videos.txt", listed)
    for name in ("Celeb-real/frames/id2_0000", "YouTube-real/frames/00001"):
        touch(root, (f"Celeb-DF-v2/{name}/{k:03d}.png" for k in range(3)))
    for method in SWAPS + REENACTMENTS:
        touch(root, (f"{method}/cdf/frames/id2_id3_0000/{k:03d}.png" for k in range(3)))
    touch(root, ("fomm/ff/frames/000_003/000.png", "MidJourney/fake/a.png", "heygen/fake/b/0.png"))


def wilddeepfake(root: Path) -> None:
    for kind in ("real", "fake"):
        for split, archives in (("train", "12"), ("test", "3")):
            for archive in archives:
                folder = f"deepfake_in_the_wild/{kind}_{split}/{archive}/{kind}/7"
                touch(root, (f"{folder}/{k}.png" for k in range(21)))


def deepfake_eval_2024(root: Path) -> None:
    lines = ["Filename,Video Ground Truth,Audio Ground Truth,Finetuning Set"]
    truths = ("Real", "Fake", "Unknown", "Fake", "Fake", "Real")
    for number, truth in enumerate(truths):
        lines.append(f"v{number}.mp4,{truth},Unknown,{('Train', 'Test')[number % 2]}")
        touch(root, (f"video-data/v{number}.mp4",))
    write(root, "video-metadata-publish.csv", "\n".join(lines) + "\n")


def dfd(root: Path) -> None:
    touch(root, ("original_sequences/actors/c23/videos/01__walking.mp4",))
    touch(root, ("original_sequences/youtube/c23/videos/000.mp4",))
    fakes = "manipulated_sequences/DeepFakeDetection/c23/videos"
    touch(root, (f"{fakes}/01_02__walking__YVGY8LOK.mp4",))


def dfdc_preview(root: Path) -> None:
    listed = {
        "original_videos/643755/643755_A_000.mp4": {"label": "real", "set": "train"},
        "original_videos/1224068/1224068_A_000.mp4": {"label": "real", "set": "test"},
        "method_A/643755/643755_1224068_A_001.mp4": {"label": "fake", "set": "train"},
        "method_B/1224068/1224068_643755_B_001.mp4": {"label": "fake", "set": "test"},
    }
    write(root, "dataset.json", json.dumps(listed))
    touch(root, listed)


def ffiw(root: Path) -> None:
    for split in ("train", "val", "test"):
        touch(root, (f"{folder}/{split}/00000.mp4" for folder in ("source", "target")))
    touch(root, ("target_mask/train/00000.mp4",))


def ffpp(root: Path) -> None:
    pairs = {"train": [["000", "003"]], "val": [["010", "011"]], "test": [["020", "021"]]}
    methods = ("Deepfakes", "FaceSwap", "FaceShifter", "Face2Face", "NeuralTextures")
    for split, listed in pairs.items():
        write(root, f"splits/{split}.json", json.dumps(listed))
        for a, b in listed:
            touch(root, (f"original_sequences/youtube/c23/videos/{name}.mp4" for name in (a, b)))
            for method in methods:
                folder = f"manipulated_sequences/{method}/c23/videos"
                touch(root, (f"{folder}/{name}.mp4" for name in (f"{a}_{b}", f"{b}_{a}")))


def celeb_df_pp(root: Path) -> None:
    fakes = [
        "FaceSwap/BlendFace/id0_id1_0000",
        "FaceSwap/BlendFace/id2_id3_0000",
        "FaceReenact/LIA/id2_id3_0000",
        "TalkingFace/FLOAT/id0_0000_test_0001",
        "TalkingFace/FLOAT/id2_0000_test_0002",
    ]
    reals = ["Celeb-real/id0_0000", "Celeb-real/id2_0000", "YouTube-real/00000"]
    touch(root, (f"{path}.mp4" for path in reals))
    touch(root, (f"Celeb-synthesis/{path}.mp4" for path in fakes))
    tested = ["1 Celeb-real/id2_0000.mp4"]
    tested += [f"0 Celeb-synthesis/{path}.mp4" for path in fakes if "/id2_" in path]
    write(root, "List_of_testing_videos.txt", "\n".join(tested) + "\n")


DEEPSPEAK_ENGINES = ("facefusion", "hellomeme", "liveportrait", "diff2lip", "latentsync", "memo")


def deepspeak_v2(root: Path) -> None:
    """Two people, one a split; each a real video and a fake of every engine, driven by the other video."""
    reals, fakes = ["video-file,identity"], ["video-file,kind,engine,identity-source,"]
    fakes[0] += "identity-target,recording-source,recording-target,audio-config"
    for person in ("11", "12"):
        reals.append(f"{person}-{person}00.mp4,{person}")
        touch(root, (f"deepspeak-v2-0/{person}-{person}00.mp4",))
        for engine in DEEPSPEAK_ENGINES:
            name = f"{engine}-{person}01-{person}00-playht.mp4"
            touch(root, (f"deepspeak-v2-1/{name}",))
            fakes.append(f"{name},kind,{engine},{person},{person},{person}01,{person}00,playht")
    write(root, "annotations-real.csv", "\n".join(reals) + "\n")
    write(root, "annotations-fake.csv", "\n".join(fakes) + "\n")
    write(root, "annotations-split-def.csv", "identity,split\n11,train\n12,test\n")


KODF_MODELS = ("dfl", "dffs", "fsgan", "fo", "audio-driven")


def kodf(root: Path) -> None:
    """A person a list: two real videos, and a fake of every model made from the first."""
    for person, word in (("p1", "training"), ("p2", "validation")):
        reals = [f"{person}_00{k}.mp4" for k in range(2)]
        fakes = [f"{person}_p9_{k}_0001.mp4" for k in range(1, 6)]
        touch(root, (f"{word}/원본/{name}" for name in reals))
        touch(root, (f"{word}/변조/20200720/{name}" for name in fakes))
        lines = [f"{name},{person},남자" for name in reals]
        write(
            root,
            f"meta/원본영상_{word}_메타데이터.csv",
            "\n".join(["영상ID,UUID,인물성별", *lines]),
        )
        lines = [
            f"{name},{model},{reals[0]},{person},p9"
            for name, model in zip(fakes, KODF_MODELS, strict=True)
        ]
        heading = "영상ID,변조모델,타겟영상,타겟UUID,소스UUID"
        write(root, f"meta/변조영상_{word}_메타데이터.csv", "\n".join([heading, *lines]))


def idforge(root: Path) -> None:
    kinds = {
        "pristine": "scene_0010-0",
        "face_rvc_textmismatch": "scene_0015_0_infoswap",
        "lip_tts_textgen": "scene_0010-13_fake",
        "tts_textgen": "scene_0010-2",
    }
    for split, person in (("train", "id01"), ("val", "id00"), ("test", "id02")):
        paths = [f"{k}/{person}/{person}_03/{person}_{name}.mp4" for k, name in kinds.items()]
        write(root, f"{split}.csv", "\n".join(paths) + "\n")
        touch(root, paths)


LAYOUTS = {
    layout.__name__: layout
    for layout in (
        ffpp,
        celeb_df,
        dfdc,
        fakeavceleb,
        forgerynet,
        df40,
        wilddeepfake,
        deepfake_eval_2024,
        dfd,
        dfdc_preview,
        ffiw,
        celeb_df_pp,
        deepspeak_v2,
        kodf,
        idforge,
    )
}


def in_the_wild(root: Path) -> None:
    """A collection of one's own, told by a table."""
    touch(root, ("a.mp4", "b.mp4"))
    write(root, "videos.csv", "uri,label\na.mp4,real\nb.mp4,fake\n")
