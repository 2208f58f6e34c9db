"""What is answered: the page, `/upload` as system E answers it, `/api/predict`, `/healthz`."""

import io
from typing import TYPE_CHECKING

from ferlib.live.serve.limits import SECURITY_HEADERS, Refused, error_body, too_large
from ferlib.live.serve.workers import Answer, Desk
from ferlib.model.recognise import FaceReading

if TYPE_CHECKING:
    from flask import Flask, Response

E_NAMES = {"angry": "anger", "happy": "happiness", "sad": "sadness"}
"""System E's names where they are not FER2013's."""


def build_app(desk: Desk, model_name: str = "") -> "Flask":
    """The Flask application around a desk. It keeps nothing between requests and sets no cookies."""
    import flask
    from werkzeug.exceptions import HTTPException

    class InMemory(flask.Request):
        """Werkzeug would write the larger parts of a form into temporary files."""

        def _get_file_stream(self, *_args, **_named):
            return io.BytesIO()

    app = flask.Flask(__name__, static_folder="page", static_url_path="/static")
    app.request_class = InMemory
    app.json.sort_keys = False  # probabilities stand in the model's order
    app.config["MAX_CONTENT_LENGTH"] = desk.limits.bytes
    app.config["MAX_FORM_PARTS"] = 2 * desk.limits.pictures

    @app.get("/")
    def page():
        return app.send_static_file("index.html")

    @app.get("/healthz")
    def health():
        limits = {"bytes": desk.limits.bytes, "pixels": desk.limits.pixels}
        return {"status": "ok", "model": model_name, "classes": list(desk.class_names), "limits": limits}

    @app.post("/upload")
    def upload():
        with desk.place():
            files = flask.request.files.getlist("file")
            if len(files) != 1:
                raise Refused(400, "send one picture in the form field 'file'; /api/predict takes several")
            return as_system_e(desk.read(files[0].read()))

    @app.post("/api/predict")
    def predict():
        with desk.place():
            if flask.request.mimetype != "multipart/form-data":
                return as_json(desk.read(flask.request.get_data(cache=False)))
            files = flask.request.files.getlist("file")  # other names would lose the order
            if not 0 < len(files) <= desk.limits.pictures:
                raise Refused(
                    400,
                    f"{len(files)} pictures in the form field 'file': send 1 to {desk.limits.pictures}",
                )
            return _read_several(desk, [file.read() for file in files])

    @app.errorhandler(Refused)
    def refused(error: Refused):
        return _refusal(error)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException):
        if error.code is None or error.code < 400:  # a redirect
            return error
        if error.code == 413:
            return _refusal(too_large(desk.limits))
        lines = {404: "no such page; there are /, /upload, /api/predict and /healthz"}
        lines[405] = f"{flask.request.method} is not for this page; pictures are sent with POST"
        answer = _refusal(Refused(error.code, lines.get(error.code, error.name)))
        if error.code == 405:
            answer.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
        return answer

    @app.errorhandler(Exception)
    def failure(error: Exception):
        app.logger.error("a request failed", exc_info=error)
        return _refusal(Refused(500, "the server failed; its log says where"))

    @app.after_request
    def guard(answer):
        answer.headers.update(SECURITY_HEADERS)
        return answer

    return app


def _refusal(error: Refused) -> "Response":
    import flask

    answer = flask.Response(error_body(str(error)), error.status, content_type="application/json")
    if error.retry is not None:
        answer.headers["Retry-After"] = str(error.retry)
    return answer


def _read_several(desk: Desk, pictures: list[bytes]) -> tuple[dict, int]:
    """An answer or an error for each picture, in their order; the first error's status if all failed."""
    answers, errors = [], []
    for data in pictures:
        try:
            answers.append(as_json(desk.read(data)))
        except Refused as error:
            errors.append(error)
            answers.append({"error": str(error)})
    if len(errors) < len(pictures):
        return {"pictures": answers}, 200
    return {"error": f"no picture could be read: {errors[0]}", "pictures": answers}, errors[0].status


def as_json(answer: Answer) -> dict:
    """A picture's answer: its size, and box, expression and probabilities of each face, largest first."""
    faces = [_face(face) for face in answer.faces]
    return {"width": answer.width, "height": answer.height, "faces": faces, "left_out": answer.left_out}


def as_system_e(answer: Answer) -> dict:
    """The largest face as system E answers, `prediction` and `confidence`, in its names; then all faces.

    Without a face the two are null: there is nothing to name.
    """
    faces = [_face(face, E_NAMES) for face in answer.faces]
    first = faces[0] if faces else None
    return {
        "prediction": first and first["emotion"],
        "confidence": first and f"{first['probability']:.1%}",
        "faces": faces,
    }


def _face(face: FaceReading, names: dict[str, str] | None = None) -> dict:
    names = names or {}
    score = getattr(face, "score", None)
    return {
        "box": list(face.box),
        "emotion": names.get(face.emotion, face.emotion),
        "probability": round(face.probability, 4),
        "probabilities": {names.get(name, name): round(p, 4) for name, p in face.probabilities.items()},
        **({} if score is None else {"score": round(float(score), 4)}),
    }
