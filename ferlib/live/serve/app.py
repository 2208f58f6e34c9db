"""The Flask application: the pages, `/upload` as system E answers it, `/api/predict` and `/healthz`."""

import io
from collections.abc import Mapping
from pathlib import Path

import flask
from werkzeug.exceptions import HTTPException

from ferlib.common.images import MAX_PIXELS
from ferlib.live.serve.limits import SECURITY_HEADERS, RefusedError, body_too_large, check_site, error_body
from ferlib.live.serve.reader import PictureReader, Result
from ferlib.model.predictor import Predictor
from ferlib.model.recognise import Face
from ferlib.train.page.writer import DATA_FILE, FORM_FILE, POLICY, STATIC, data_script, read_form, render_page

SYSTEM_E_NAMES = {"angry": "anger", "happy": "happiness", "sad": "sadness"}
"""System E's names where they are not FER2013's."""

_NOT_FOUND = "no such page; there are /, /upload, /api/predict and /healthz"


class _InMemoryRequest(flask.Request):
    """Werkzeug would write the larger parts of a form into temporary files."""

    def _get_file_stream(self, *_args: object, **_named: object) -> io.BytesIO:
        return io.BytesIO()


def build_app(reader: PictureReader, loopback: bool = True) -> flask.Flask:
    """Build the Flask application. It keeps nothing between requests and sets no cookies.

    Args:
        reader: What recognises the faces.
        loopback: Whether it is for this machine only: other sites' pages are refused, see `limits.check_site`.

    Returns:
        The application.
    """
    app = flask.Flask(__name__, static_folder=STATIC, static_url_path="/static")
    app.url_map.merge_slashes = False  # it would redirect to whatever Host says
    app.request_class = _InMemoryRequest
    app.json.sort_keys = False  # type: ignore[attr-defined]  # probabilities are in the model's order
    limits = reader.limits
    app.config["MAX_CONTENT_LENGTH"] = limits.bytes
    app.config["MAX_FORM_MEMORY_SIZE"] = limits.bytes  # no limit of its own
    app.config["MAX_FORM_PARTS"] = 2 * limits.pictures

    @app.before_request
    def check_sender() -> None:
        if loopback:
            check_site(flask.request.headers)

    @app.get("/healthz")
    def health() -> dict:
        accepted = {"bytes": limits.bytes, "pixels": MAX_PIXELS}
        name, classes = getattr(reader.model, "name", ""), list(reader.model.class_names)
        return {"status": "ok", "model": name, "classes": classes, "limits": accepted}

    @app.post("/upload")
    def upload() -> dict:
        with reader.place():
            files = flask.request.files.getlist("file")
            if len(files) != 1:
                raise RefusedError(
                    400, "send one picture in the form field 'file'; /api/predict takes several"
                )
            return system_e_json(reader.read(files[0].read()))

    @app.post("/api/predict")
    def predict() -> dict | tuple[dict, int]:
        with reader.place():
            if flask.request.mimetype != "multipart/form-data":
                return result_json(reader.read(flask.request.get_data(cache=False)))
            files = flask.request.files.getlist("file")  # other field names would lose the order
            if not 0 < len(files) <= limits.pictures:
                wrong = f"{len(files)} pictures in the form field 'file': send 1 to {limits.pictures}"
                raise RefusedError(400, wrong)
            return _read_several(reader, [file.read() for file in files])

    _add_pages(app, reader.model)
    _add_error_handlers(app, reader)
    return app


def _add_pages(app: flask.Flask, model: Predictor) -> None:
    """Add the page, and where the bundle has a browser form the one that reads on the visitor's device."""
    metadata = {"name": getattr(model, "name", ""), "class_names": model.class_names}
    metadata |= getattr(model, "metadata", {})
    folder: Path | None = getattr(model, "folder", None)
    graph = None
    if folder and "page" in metadata.get("forms", {}) and (folder / FORM_FILE).is_file():
        graph = read_form(folder, metadata)
    page = render_page(metadata, on_device=False, static="static/", linked=graph is not None)
    app.add_url_rule("/", "page", lambda: page)
    if graph is None:
        return
    script, other = data_script(graph), render_page(metadata, static="static/", linked=True)
    policy = {"Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'"}
    app.add_url_rule("/device", "device", lambda: flask.Response(other, headers=policy, mimetype="text/html"))
    app.add_url_rule(f"/{DATA_FILE}", "model", lambda: flask.Response(script, mimetype="text/javascript"))


def _add_error_handlers(app: flask.Flask, reader: PictureReader) -> None:
    @app.errorhandler(RefusedError)
    def refused(error: RefusedError) -> flask.Response:
        response = flask.Response(error_body(str(error)), error.status, content_type="application/json")
        if error.status == 503:
            response.headers["Retry-After"] = "1"
        return response

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> flask.Response:
        code = 404 if error.code is None or error.code < 400 else error.code  # never a redirect
        limits, length = reader.limits, flask.request.content_length or 0
        too_many = (
            f"more than the limit of {2 * limits.pictures} form fields; send 1 to {limits.pictures} pictures"
        )
        messages = {
            404: _NOT_FOUND,
            405: f"{flask.request.method} is not for this page; pictures are sent with POST",
            413: body_too_large(limits) if length > limits.bytes else too_many,
        }
        response = refused(RefusedError(code, messages.get(code, error.name)))
        if code == 405:
            response.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
        return response

    @app.errorhandler(Exception)
    def failure(error: Exception) -> flask.Response:
        app.logger.error("a request failed", exc_info=error)
        return refused(RefusedError(500, "the server failed; its log says where"))

    @app.after_request
    def add_security_headers(response: flask.Response) -> flask.Response:
        for name, value in SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        return response


def _read_several(reader: PictureReader, pictures: list[bytes]) -> tuple[dict, int]:
    """An answer or an error per picture, in their order; the first error's status if all failed."""
    answers, errors = [], []
    for data in pictures:
        try:
            answers.append(result_json(reader.read(data)))
        except RefusedError as error:
            errors.append(error)
            answers.append({"error": str(error)})
    if len(errors) < len(pictures):
        return {"pictures": answers}, 200
    return {"error": f"no picture could be read: {errors[0]}", "pictures": answers}, errors[0].status


def result_json(result: Result) -> dict:
    """Convert a result for `/api/predict`.

    Args:
        result: What was recognised in a picture.

    Returns:
        The size of the picture; box, emotion and probabilities of each face, largest first.
    """
    faces = [_face_json(face) for face in result.faces]
    return {"width": result.width, "height": result.height, "faces": faces, "left_out": result.left_out}


def system_e_json(result: Result) -> dict:
    """Convert a result for `/upload`, as system E answers.

    Args:
        result: What was recognised in a picture.

    Returns:
        `prediction` and `confidence` of the largest face in system E's names, null without a face; all `faces`.
    """
    faces = [_face_json(face, SYSTEM_E_NAMES) for face in result.faces]
    first = faces[0] if faces else None
    return {
        "prediction": first and first["emotion"],
        "confidence": first and f"{first['probability']:.1%}",
        "faces": faces,
    }


def _face_json(face: Face, names: Mapping[str, str] | None = None) -> dict:
    names = names or {}
    return {
        "box": list(face.box),
        "emotion": names.get(face.emotion, face.emotion),
        "probability": round(face.probability, 4),
        "probabilities": {names.get(name, name): round(p, 4) for name, p in face.probabilities.items()},
        **({} if face.score is None else {"score": round(face.score, 4)}),
    }
