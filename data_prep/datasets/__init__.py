"""One module per data set: `FACTS`, `read(raw) -> Listing`, where needed `open_entry(entry) -> Clip` and `face_box(entry)`.

`read` looks at names and label files, never at pixels. `open_entry` opens files that are neither a picture nor a video;
`face_box` returns the box given with the data (x0 y0 x1 y1 as shares of the picture's sides), or None.
"""
