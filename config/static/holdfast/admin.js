/* Small comforts of Holdfast's admin pages. Everything works without them. */
(function () {
    "use strict";

    // Zoom of a proof: buttons, or a click on the picture. Steps are classes in admin.css.
    const steps = ["", "150", "200", "300", "400"];

    function zoom(frame, step) {
        if (steps[step]) {
            frame.dataset.zoom = steps[step];
        } else {
            delete frame.dataset.zoom;
        }
    }

    function viewer(section) {
        const frame = section.querySelector(".hf-picture");
        const tools = section.querySelector("[data-hf-zoom]");
        let at = 0;
        tools.hidden = false;
        tools.addEventListener("click", function (event) {
            const button = event.target.closest("[data-hf-step]");
            if (!button) return;
            const by = Number(button.dataset.hfStep);
            at = by === 0 ? 0 : Math.min(steps.length - 1, Math.max(0, at + by));
            zoom(frame, at);
        });
        frame.querySelector("img").addEventListener("click", function (event) {
            const x = event.offsetX / event.target.clientWidth;
            const y = event.offsetY / event.target.clientHeight;
            at = at === 0 ? 2 : 0;
            zoom(frame, at);
            frame.scrollLeft = x * frame.scrollWidth - frame.clientWidth / 2;
            frame.scrollTop = y * frame.scrollHeight - frame.clientHeight / 2;
        });
        frame.addEventListener("keydown", function (event) {
            const by = { "+": 1, "=": 1, "-": -1, "0": 0 }[event.key];
            if (by === undefined) return;
            at = by === 0 ? 0 : Math.min(steps.length - 1, Math.max(0, at + by));
            zoom(frame, at);
        });
    }

    // A box that ticks all boxes of one name.
    function tickAll(box) {
        box.addEventListener("change", function () {
            document.querySelectorAll('input[name="' + box.dataset.hfAll + '"]').forEach(function (one) {
                one.checked = box.checked;
            });
        });
    }

    // The check-in field takes what a scanner types, wherever the focus went meanwhile.
    function scanner(input) {
        input.focus();
        input.select();
        document.addEventListener("keydown", function (event) {
            const there = document.activeElement;
            const busy = there && there !== document.body && there !== input;
            if (!busy && event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
                input.focus();
            }
        });
    }

    document.addEventListener("DOMContentLoaded", function () {
        document.querySelectorAll("[data-hf-viewer]").forEach(viewer);
        document.querySelectorAll("[data-hf-all]").forEach(tickAll);
        document.querySelectorAll("[data-hf-scanner]").forEach(scanner);
    });
})();
