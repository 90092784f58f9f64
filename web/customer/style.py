"""The style of the customer's page: small enough to come with it, in the client's one color."""

CSS = """
:root{color-scheme:light dark;--paper:#F2F5F0;--sheet:#fff;--letter:#FFFEFA;--ink:#16212A;--ink2:#43505A;--rule:#DDE3DC;--field:#78857E;--green:#1B6A45;--tint:#E4F2E9;--amber:#825000;--amber-tint:#FBF0D9;--c:ACCENT}
@media(prefers-color-scheme:dark){:root{--paper:#10171A;--sheet:#182023;--letter:#1D2423;--ink:#E9EEEB;--ink2:#BAC6C2;--rule:#2B373A;--field:#7A8A88;--green:#82CFA4;--tint:#1B3529;--amber:#F0C071;--amber-tint:#392C15}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums lining-nums;border-top:6px solid var(--c);overflow-wrap:anywhere}
main,footer,.head{max-width:40rem;margin:0 auto;padding:0 16px}
.head{padding-top:16px;font-weight:600}
h1{font-size:22px;line-height:1.3;margin:8px 0 4px;font-weight:600}
h2{font-size:18px;margin:0 0 8px;font-weight:600}
h3{font-size:16px;margin:0;font-weight:600;display:inline}
p{margin:0 0 8px}
.q{color:var(--ink2);font-size:15px}
section{background:var(--sheet);border:1px solid var(--rule);border-radius:6px;padding:16px;margin:0 0 16px}
ul{list-style:none;margin:0;padding:0}
li{padding:10px 0;border-top:1px solid var(--rule)}
li:first-child{border:0;padding-top:0}li:last-child{padding-bottom:0}
.row{display:flex;gap:4px 16px;flex-wrap:wrap;justify-content:space-between;align-items:baseline}
.row b{font-weight:600}
.say{background:var(--tint);border-radius:6px;padding:10px 12px;margin:0 0 8px}
.look{background:var(--amber-tint)}
a{color:inherit;text-underline-offset:3px}
details{border-top:1px solid var(--rule)}
details:first-of-type{border-top:0}
summary{cursor:pointer;padding:12px 0;min-height:44px}
details form{padding:0 0 16px}
label,legend{display:block;font-weight:600;margin:12px 0 4px;padding:0}
fieldset{border:0;margin:0;padding:0;min-width:0}
.pick{font-weight:400;display:flex;gap:10px;align-items:flex-start;margin:0;padding:10px 0;min-height:44px}
.pick input{width:20px;height:20px;min-height:0;margin:1px 0 0;flex:none;accent-color:var(--c)}
input,select,textarea{font:inherit;color:inherit;background:var(--sheet);border:1px solid var(--field);border-radius:4px;padding:10px;width:100%;min-height:44px}
textarea{min-height:88px}
button,.b{font:inherit;font-weight:600;min-height:44px;border-radius:4px;border:1px solid var(--c);background:var(--c);color:#fff;padding:10px 18px;margin:12px 0 0;cursor:pointer;display:inline-block;text-decoration:none}
.b{margin:6px 0 0}
.plain{background:var(--sheet);color:inherit;border-color:var(--field)}
#told:focus{outline:0}
:focus-visible{outline:3px solid var(--ink);outline-offset:2px}
.letter{background:var(--letter);border:1px solid var(--rule);border-radius:2px;padding:16px;font:16px/1.5 Georgia,"Times New Roman",serif;white-space:pre-line;margin:0 0 12px}
progress{width:100%;height:12px;accent-color:var(--c)}
.ok{color:var(--green)}
footer{padding-bottom:32px}
@media print{body{background:#fff}details,button{display:none}}
"""
