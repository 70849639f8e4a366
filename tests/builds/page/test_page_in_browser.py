"""The page in a browser: chromium and chromium-driver of Debian, or Chrome."""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Iterator

import pytest
import tensorflow_datasets as tfds

import imagenet2012_subset
from imagenet2012_subset import SubsetConfig, class_name
from imagenet2012_subset.imagenet.names import wnids
from imagenet2012_subset.page.write import write_page
from tests.shared import archives

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

_PER_PAGE = 12
_WIDTH, _HEIGHT = 1200, 900


def _program(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"there is no {' or '.join(names)} to open the page with")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The page of 31 classes with two training images, and 5 validation images."""
    folder = tmp_path_factory.mktemp("page")
    training = {
        wnid: [(f"{wnid}_{n}.JPEG", archives.jpeg(2 * label + n)) for n in (1, 2)]
        for label, wnid in enumerate(wnids())
        if label < 27 or label in (134, 517, 607, 639)
    }
    archives.write_manual_dir(
        folder / "manual",
        archives.training_tar(training),
        archives.tar_bytes(
            (archives.validation_name(n), archives.jpeg(5000 + n)) for n in range(1, 6)
        ),
    )
    names = [name for images in training.values() for name, _ in images]
    (folder / "list.txt").write_text("\n".join(names))
    builder = imagenet2012_subset.Builder(
        data_dir=folder,
        config=SubsetConfig(
            name="small", subset_list=folder / "list.txt", validation_images=5
        ),
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=folder / "manual")
    )
    return pathlib.Path(write_page(builder.data_path, folder / "page.html"))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A headless browser with its own profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = _program(
        "chromium", "chromium-browser", "google-chrome", "chrome"
    )
    profile = tmp_path_factory.mktemp("profile")
    arguments = ["headless", "no-sandbox", "disable-gpu", "disable-quic"]
    arguments += ["no-first-run", "disable-background-networking", "disable-sync"]
    arguments += ["disable-component-update", f"user-data-dir={profile}"]
    for argument in arguments:
        options.add_argument(f"--{argument}")
    logged = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logged)
    driver = webdriver.Chrome(
        options=options, service=Service(_program("chromedriver"))
    )
    yield driver
    driver.quit()


@pytest.fixture
def browser(
    started: webdriver.Chrome, page: pathlib.Path
) -> Iterator[webdriver.Chrome]:
    """A browser with the page newly opened, which must log no error."""
    _emulate(started, scheme="light")
    _resize(started, _WIDTH, _HEIGHT)
    started.get("about:blank")  # A new browser makes requests for its start page.
    started.get_log("performance")
    started.get(page.as_uri())
    yield started
    assert started.get_log("browser") == []
    requested = [
        message["params"]["request"]["url"]
        for entry in started.get_log("performance")
        for message in [json.loads(entry["message"])["message"]]
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert page.as_uri() in requested
    # A data: URL is part of the page.
    others = {url for url in requested if not url.startswith("data:")}
    assert {url.partition("#")[0] for url in others} == {page.as_uri()}


def _emulate(browser: webdriver.Chrome, *, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def _resize(browser: webdriver.Chrome, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", metrics | {"mobile": width < 600}
    )


def _shown(browser: webdriver.Chrome) -> list[str]:
    return [h3.text for h3 in browser.find_elements(By.CSS_SELECTOR, "#sheet h3")]


def _status(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.ID, "status").text


def _search(browser: webdriver.Chrome, text: str) -> list[str]:
    query = browser.find_element(By.ID, "query")
    query.clear()
    query.send_keys(text)
    return _shown(browser)


def _press(browser: webdriver.Chrome, go: str, pager: int = 0) -> list[str]:
    buttons = browser.find_elements(By.CSS_SELECTOR, f"[data-go={go}]")
    browser.execute_script("arguments[0].scrollIntoView()", buttons[pager])
    browser.execute_script("arguments[0].click()", buttons[pager])
    return _shown(browser)


def _background(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").value_of_css_property(
        "background-color"
    )


def test_first_page(browser):
    assert _shown(browser) == [class_name(label) for label in range(_PER_PAGE)]
    assert "1–12 of" in _status(browser)  # noqa: RUF001
    assert "small" in browser.title


def test_images_are_shown(browser):
    images = browser.find_elements(By.CSS_SELECTOR, "#sheet img, #strip img")
    assert len(images) >= 2 * _PER_PAGE
    # An image that cannot be decoded has no width.
    width = "return arguments[0].decode().then(() => arguments[0].naturalWidth)"
    assert {browser.execute_script(width, image) for image in images} == {96}
    for image in browser.find_elements(By.CSS_SELECTOR, "#sheet img"):
        assert image.get_attribute("alt")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("crane", ["crane (bird)", "crane (machine)"]),
        ("CRANE mach", ["crane (machine)"]),
        ("Jack-o’-Lantern", ["jack-o'-lantern"]),  # noqa: RUF001
        ("tank suit", ["maillot (tank suit)"]),
        ("tinca", ["tench"]),
        ("n03590841", ["jack-o'-lantern"]),
        ("n03590841_2.JPEG", ["jack-o'-lantern"]),
        ("607", ["jack-o'-lantern"]),
        ("  goldfish ", ["goldfish"]),
        ("no such class", []),
        ("<b>", []),
    ],
)
def test_search(browser, text, found):
    assert _search(browser, text) == found
    expected = {0: "No class matches.", 1: "1 class found", 2: "2 classes found"}
    assert _status(browser) == expected[len(found)]


def test_search_shows_its_first_page_and_clearing_it_shows_all(browser):
    first = _shown(browser)
    _press(browser, "last")
    assert _search(browser, "shark")[0] == "great white shark"
    browser.find_element(By.ID, "query").send_keys(Keys.BACKSPACE * 5)
    assert _shown(browser) == first


def test_pages_show_each_class_once(browser):
    pages = [_shown(browser)]
    while (page := _press(browser, "next", pager=len(pages) % 2)) != pages[-1]:
        pages.append(page)
    seen = [name for page in pages for name in page]
    assert len(seen) == len(set(seen)) >= 31
    assert {"crane (bird)", "crane (machine)", "maillot (tank suit)"} <= set(seen)
    assert all(len(page) == _PER_PAGE for page in pages[:-1])
    assert _press(browser, "previous") == pages[-2]
    assert _press(browser, "first") == pages[0]
    assert _press(browser, "previous") == pages[0]
    assert _press(browser, "last") == pages[-1]


@pytest.mark.parametrize(("typed", "number"), [("2", 2), ("99", 3), ("0", 1), ("", 1)])
def test_page_number(browser, typed, number):
    field = browser.find_element(By.CSS_SELECTOR, ".pager input")
    field.send_keys(Keys.CONTROL + "a" + Keys.NULL, Keys.BACKSPACE, typed, Keys.TAB)
    for field in browser.find_elements(By.CSS_SELECTOR, ".pager input"):
        assert field.get_attribute("value") == str(number)
    start = (number - 1) * _PER_PAGE + 1
    assert _status(browser).startswith(f"{start}–")  # noqa: RUF001


def test_keyboard(browser):
    first = _shown(browser)
    body = browser.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.ARROW_RIGHT)
    assert _shown(browser) != first
    body.send_keys(Keys.ARROW_LEFT)
    assert _shown(browser) == first
    body.send_keys("/")
    browser.switch_to.active_element.send_keys("goldfish")
    assert _shown(browser) == ["goldfish"]
    thumb = browser.find_element(By.CSS_SELECTOR, ".thumb")
    thumb.send_keys(Keys.ENTER)
    dialog = browser.find_element(By.ID, "enlarged")
    assert "n01443537_" in dialog.text
    assert "40 × 30" in dialog.text  # noqa: RUF001
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not dialog.is_displayed()
    assert browser.switch_to.active_element == thumb


def test_dark_mode_of_the_system_and_of_the_button(browser):
    light = _background(browser)
    _emulate(browser, scheme="dark")
    dark = _background(browser)
    assert dark != light
    button = browser.find_element(By.ID, "theme")
    # The page sees the change at the next frame.
    WebDriverWait(browser, 300).until(lambda _: button.text.endswith("Light"))
    button.click()
    assert (_background(browser), button.text[-4:]) == (light, "Dark")
    button.click()
    assert _background(browser) == dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_of_plots(browser, scheme):
    _emulate(browser, scheme=scheme)
    colours = browser.execute_script(
        "return [...document.querySelectorAll('.plot svg text')].map("
        "  (text) => getComputedStyle(text).fill"
        ").concat(getComputedStyle(document.body).color)"
    )
    assert len(colours) > 20
    assert len(set(colours)) == 1


@pytest.mark.parametrize("width", [320, 390, 768])
def test_narrow_screens(browser, width):
    _resize(browser, width, 800)
    needed = browser.execute_script("return document.documentElement.scrollWidth")
    assert needed <= width


def test_controls_have_accessible_names(browser):
    unnamed = browser.execute_script(
        "return [...document.querySelectorAll('button, input, a')].filter((element) =>"
        "  !element.textContent.trim() && !element.ariaLabel && !element.labels?.length"
        "  && !element.querySelector('img[alt]')).map((element) => element.outerHTML)"
    )
    assert unnamed == []
